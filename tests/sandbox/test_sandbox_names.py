import subprocess
import sys

import pytest

import toggl_async.sandbox as package
from toggl_async.sandbox import routes


def test_every_public_name_can_be_had() -> None:
    assert dir(package) == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Bucket'"):
        package.Bucket  # noqa: B018


def test_the_fixtures_module_loads_nothing_of_the_extra() -> None:
    program = (
        "import sys\n"
        "sys.modules['uvicorn'] = sys.modules['starlette'] = None\n"
        "import toggl_async.sandbox.pytest_plugin\n"
        "loaded = [name for name in sys.modules if name.startswith('toggl_async.sandbox.')]\n"
        "assert loaded == ['toggl_async.sandbox.pytest_plugin'], loaded\n"
        "try:\n"
        "    from toggl_async.sandbox import serve\n"
        "except ModuleNotFoundError as missing:\n"
        "    print(missing.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "uvicorn"), done.stderr


def test_no_route_is_answered_twice() -> None:
    areas = [area for area in vars(routes).values() if hasattr(area, "HANDLERS")]
    assert sum(len(area.HANDLERS) for area in areas) == len(routes.HANDLERS) > 100
