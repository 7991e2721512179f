"""People, organizations, workspaces and groups as the JSON objects that the Track API sends."""

from toggl_async.sandbox.entities import GroupRow, OrganizationRow, PersonRow, WorkspaceRow
from toggl_async.sandbox.shapes import JsonObject, same
from toggl_async.sandbox.state import State
from toggl_async.sandbox.timestamps import at_fraction, offset_utc, zulu

__all__ = [
    "group",
    "me",
    "organization",
    "organization_group",
    "organization_user",
    "simple_user",
    "workspace",
    "workspace_statistics",
    "workspace_user",
    "workspace_user_id",
]

_PLAN_IDS = {"free": 0, "starter": 13, "premium": 14}
_ROLES = {"admin": 1, "user": 3}


def me(person: PersonRow) -> JsonObject:
    """``GET /api/v9/me``, without the related data."""
    return {
        **same(
            person,
            "id",
            "api_token",
            "email",
            "timezone",
            "default_workspace_id",
            "beginning_of_week",
            "country_id",
        ),
        "fullname": person.name,
        "toggl_accounts_id": f"ta{person.id:x}",
        "image_url": "https://assets.track.toggl.com/images/profile.png",
        "created_at": at_fraction(person.created * 1_000_000 + 123_450),
        "updated_at": at_fraction(person.modified * 1_000_000 + 678_900),
        "openid_email": None,
        "openid_enabled": False,
        "has_password": True,
        "at": at_fraction(person.modified * 1_000_000 + 678_900),
        "intercom_hash": f"{person.id:064x}",
        "oauth_providers": ["google"] if person.owner else None,
        "authorization_updated_at": at_fraction(person.created * 1_000_000 + 900_100),
    }


def organization(
    state: State, row: OrganizationRow, person: PersonRow, *, listed: bool = False
) -> JsonObject:
    """``GET /api/v9/organizations/{organization_id}``, or an element of ``/me/organizations``.

    Only the list names the plan.
    """
    return {
        "id": row.id,
        "name": row.name,
        "pricing_plan_id": _PLAN_IDS[state.plan],
        "pricing_plan_name": state.plan.capitalize() if listed else "",
        "created_at": at_fraction(row.created * 1_000_000 + 222_222),
        "at": at_fraction(row.created * 1_000_000 + 222_222),
        "server_deleted_at": None,
        "is_multi_workspace_enabled": len(state.workspaces) > 1,
        "suspended_at": None,
        "user_count": len(state.members),
        "trial_info": {
            "trial": False,
            "trial_available": not state.paid,
            "trial_end_date": None,
            "next_payment_date": None,
            "last_pricing_plan_id": None,
            "can_have_trial": not state.paid,
            "trial_plan_id": None,
        },
        "is_unified": True,
        "max_workspaces": 20,
        "admin": person.admin,
        "owner": person.owner,
        "pricing_plan_enterprise": False,
        "permissions": None,
    }


def workspace(state: State, row: WorkspaceRow, person: PersonRow) -> JsonObject:
    """``GET /api/v9/workspaces/{workspace_id}``."""
    return {
        **same(row, "id", "organization_id", "name", "only_admins_may_create_tags"),
        "premium": state.paid,
        "business_ws": state.plan == "premium",
        "admin": person.admin,
        "role": "admin" if person.admin else "user",
        "suspended_at": None,
        "server_deleted_at": None,
        "default_hourly_rate": row.default_hourly_rate if state.paid else None,
        "rate_last_updated": None,
        "default_currency": "EUR",
        "only_admins_may_create_projects": False,
        "only_admins_see_billable_rates": False,
        "only_admins_see_team_dashboard": False,
        "projects_billable_by_default": state.paid,
        "projects_private_by_default": True,
        "projects_enforce_billable": False,
        "limit_public_project_data": False,
        "last_modified": zulu(row.modified),
        "reports_collapse": True,
        "rounding": 1,
        "rounding_minutes": state.rounding_minutes,
        "api_token": row.api_token if person.admin else None,
        "at": offset_utc(row.modified),
        "logo_url": "https://assets.track.toggl.com/images/workspace.jpg",
        "ical_url": f"/ical/workspace_user/{row.id:032x}",
        "ical_enabled": True,
        "csv_upload": None,
        "subscription": None,
        "hide_start_end_times": state.preferences(row).get("hide_start_end_times", False),
        "working_hours_in_minutes": None,
    }


def workspace_statistics(state: State, row: WorkspaceRow) -> JsonObject:
    """``GET /api/v9/workspaces/{workspace_id}/statistics``."""
    people = [state.people[user_id] for user_id in row.members]
    return {
        "members_count": len(people),
        "groups_count": len(state.groups_of(row.id)),
        "admins": [{"user_id": person.id, "name": person.name} for person in people if person.admin],
    }


def organization_user(state: State, person: PersonRow) -> JsonObject:
    """An element of ``GET /api/v9/organizations/{organization_id}/users``."""
    spaces = state.workspaces_of(person)
    return {
        "id": person.membership_id,
        "organization_id": next(iter(state.organizations)),
        "user_id": person.id,
        **same(person, "name", "email", "admin", "owner", "inactive"),
        "role_id": _ROLES["admin" if person.admin else "user"],
        "joined": True,
        "invitation_id": None,
        "can_edit_email": False,
        "2fa_enabled": False,
        "avatar_url": "",
        "workspace_count": len(spaces),
        "workspaces": [
            {
                "workspace_id": space.id,
                "workspace_name": space.name,
                "workspace_user_id": workspace_user_id(person, space),
                "role": "admin" if person.admin else "user",
                "role_id": _ROLES["admin" if person.admin else "user"],
                "admin": person.admin,
                "active": not person.inactive,
                "inactive": person.inactive,
                "groups": _memberships(state, person, space.id) or None,
                "rate": person.rate,
                "cost": person.labor_cost,
                "default_currency": "EUR",
            }
            for space in spaces
        ],
        "groups": _memberships(state, person),
    }


def _memberships(state: State, person: PersonRow, workspace_id: int | None = None) -> list[JsonObject]:
    return [
        {"group_id": row.id, "name": row.name}
        for row in state.groups.values()
        if person.id in row.members and (workspace_id is None or workspace_id in row.workspaces)
    ]


def simple_user(person: PersonRow) -> JsonObject:
    """An element of ``GET /api/v9/workspaces/{workspace_id}/users``."""
    return {
        **same(person, "id", "email", "inactive"),
        "fullname": person.name,
        "is_active": not person.inactive,
        "is_admin": person.admin,
        "role": "admin" if person.admin else "user",
    }


def workspace_user_id(person: PersonRow, row: WorkspaceRow) -> int:
    """Return the id of a person's membership of a workspace."""
    return person.membership_id + row.id % 7 + 1


def workspace_user(state: State, row: WorkspaceRow, person: PersonRow) -> JsonObject:
    """An element of ``GET /api/v9/workspaces/{workspace_id}/workspace_users``."""
    return {
        "id": workspace_user_id(person, row),
        "user_id": person.id,
        "uid": person.id,
        "workspace_id": row.id,
        "wid": row.id,
        **same(
            person,
            "admin",
            "inactive",
            "email",
            "timezone",
            "name",
            "rate",
            "labor_cost",
            "working_hours_in_minutes",
        ),
        "workspace_admin": person.admin,
        "organization_admin": person.admin,
        "role": "admin" if person.admin else "user",
        "role_id": _ROLES["admin" if person.admin else "user"],
        "active": not person.inactive,
        "at": offset_utc(person.modified),
        "rate_last_updated": None,
        "labor_cost_last_updated": None,
        "avatar_file_name": None,
        "group_ids": [known["group_id"] for known in _memberships(state, person, row.id)] or None,
        "is_direct": True,
        "invitation_code": None,
        "invite_url": None,
        "2fa_enabled": False,
    }


def group(row: GroupRow, workspace_id: int) -> JsonObject:
    """An element of ``GET /api/v9/workspaces/{workspace_id}/groups``."""
    return {
        "id": row.id,
        "workspace_id": workspace_id,
        "name": row.name,
        "at": offset_utc(row.at),
        "has_users": bool(row.members),
        "permissions": None,
    }


def organization_group(state: State, row: GroupRow) -> JsonObject:
    """An element of ``GET /api/v9/organizations/{organization_id}/groups``."""
    people = [state.people[user_id] for user_id in row.members]
    return {
        "group_id": row.id,
        "name": row.name,
        "at": offset_utc(row.at),
        "users": [
            {
                "user_id": person.id,
                "name": person.name,
                "avatar_url": "",
                "joined": True,
                "inactive": person.inactive,
            }
            for person in people
        ],
        "workspaces": row.workspaces,
        "permissions": None,
    }
