"""The words that the made-up company is made of: names and descriptions in several scripts."""

# ruff: noqa: RUF001 - letters that look alike are the point

from typing import Final

__all__ = [
    "CLIENTS",
    "COLORS",
    "DESCRIPTIONS",
    "GROUPS",
    "PEOPLE",
    "PROJECTS",
    "TAGS",
    "TASKS",
    "ZONES",
]

PEOPLE: Final = (
    "Maarja Tõnisson",
    "Jürgen Weiß",
    "Ольга Крылова",
    "Søren Ångström",
    "Ελένη Παπαδοπούλου",
    "佐藤 花子",
    "José Núñez",
    "נועה לוי",
    "Zoë O'Brien",
    "Nguyễn Thị Ánh",
    "Łukasz Żuraw",
    "علي حسن",
)
ZONES: Final = (
    "Europe/Tallinn",
    "Europe/Berlin",
    "Europe/Tallinn",
    "Europe/Stockholm",
    "Europe/Athens",
    "Asia/Tokyo",
    "Europe/Madrid",
    "Asia/Jerusalem",
    "Europe/Dublin",
    "Asia/Ho_Chi_Minh",
    "Europe/Warsaw",
    "Asia/Dubai",
)
CLIENTS: Final = (
    "Aurora Bank",
    "Brückner & Söhne",
    "Кедр",
    "Délices d'Été",
    "Fjordlys AS",
    "光学株式会社",
    "Helios Energy",
    "Ibex Outdoor",
    "Jõgeva Vald",
    "Kestrel Air",
    "Ligne Claire",
    "Môj Obchod",
    "Nordwind",
    "Ω Optics",
)
PROJECTS: Final = (
    "Apollo",
    "Website relaunch",
    "Mobile app",
    "Données 2.0",
    "Инвентаризация",
    "Quarterly reports",
    "Onboarding",
    "Security audit",
    "サポート",
    "Data warehouse",
    "Brand book",
    "Checkout",
    "Übergabe",
    "Field research",
    "Newsletter",
    "Price list",
    "Payroll",
    "Search",
    "Accessibility",
    "Archive",
)
COLORS: Final = (
    "#0b83d9",
    "#9e5bd9",
    "#d94182",
    "#e36a00",
    "#bf7000",
    "#2da608",
    "#06a893",
    "#c9806b",
    "#465bb3",
)
TAGS: Final = (
    "meeting",
    "travel",
    "überstunden",
    "review",
    "срочно",
    "写作",
    "on-call",
    "workshop",
    "sales",
    "bug",
    "docs",
    "phone",
    "interview",
    "réunion",
    "training",
    "admin",
    "design",
    "ops",
    "härdning",
    "planning",
    "legal",
    "🔥",
)
TASKS: Final = ("Concept", "Build", "Tests", "Übersetzung", "Roll-out", "Корректура")
GROUPS: Final = ("Design", "Backoffice", "Разработка", "Küche & Büro")

DESCRIPTIONS: Final = (
    *(
        f"{verb} {thing}"
        for verb in ("Review", "Draft", "Fix", "Plan", "Discuss", "Test", "Ship", "Document")
        for thing in (
            "the release notes",
            "import of invoices",
            "login page",
            "quarterly figures",
            "API limits",
            "customer feedback",
            "the backlog",
            "colour palette",
        )
    ),
    "Koosolek kliendiga: järgmised sammud",
    "Abstimmung über Preisänderungen – Teil 2",
    "Réunion d'équipe à l'hôtel",
    "Обсуждение сметы и сроков",
    "Σύσκεψη για το έργο",
    "設計レビューと議事録",
    "회의록 정리",
    "مراجعة العقد مع العميل",
    "פגישת צוות שבועית",
    "ตรวจสอบรายงาน",
    "परियोजना की समीक्षा",
    "Cafe\u0301 with the client (combining accent)",
    "Retro 👩\u200d💻🎉",
    'Quotes "inside", back\\slash, tab\tand <tags> & ampersands',
    "Two lines\nof text",
    "",
    "",
    "",
)
