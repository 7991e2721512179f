from toggl_async.export.mirror.progress import Forecast


def test_a_list_takes_a_request_until_more_is_known() -> None:
    forecast = Forecast()
    assert forecast.left() == 0
    forecast.expect("tags", 1)
    forecast.expect("tags", 2)
    assert forecast.left() == 2
    forecast.read("tags", 1)
    assert forecast.left() == 3  # the open one may go on; the other is taken to be like it
    forecast.end("tags", 1)
    assert forecast.left() == 1
    forecast.end("tags", 2)
    assert forecast.left() == 0


def test_dates_tell_how_much_of_a_report_is_behind() -> None:
    forecast = Forecast()
    forecast.expect("time_entries", "a")
    forecast.expect("time_entries", "b")
    forecast.read("time_entries", "a", 0.25)
    assert forecast.left() == 3 + 4
    forecast.read("time_entries", "a", 1.0)
    forecast.end("time_entries", "a")
    assert forecast.left() == 2


def test_one_kind_says_nothing_of_another() -> None:
    forecast = Forecast()
    forecast.expect("time_entries", "a")
    forecast.expect("tags", 1)
    forecast.read("time_entries", "a", 0.1)
    assert forecast.left() == 9 + 1


def test_the_share_of_a_dataset() -> None:
    forecast = Forecast()
    assert forecast.share("tags") == 0.0
    forecast.expect("tags", 1)
    forecast.expect("tags", 2)
    assert forecast.share("tags") == 0.0
    forecast.read("tags", 1)
    forecast.end("tags", 1)
    assert forecast.share("tags") == 0.5
