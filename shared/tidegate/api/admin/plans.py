"""/admin/v1/plans: named limits that many workspaces share."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from tidegate.api.admin.dependencies import Context, Cursor, IdempotencyKey, IfMatch, Limit, OptionalVersion
from tidegate.api.admin.requests import PlanBody, PlanChange, apply_changes
from tidegate.api.admin.responses import ChangedPlanResponse, PageResponse, PlanResponse
from tidegate.control import plans
from tidegate.domain.managed_resources import Plan

router = APIRouter(prefix="/plans", tags=["plans"])


@router.post("", status_code=201, response_model=PlanResponse, responses={200: {"model": PlanResponse}})
async def create_plan(context: Context, body: PlanBody, idempotency_key: IdempotencyKey = None) -> JSONResponse:
    """Create a plan. A repeated request is answered with 200 and changes nothing."""
    requested = apply_changes(body, Plan("", ""))
    plan, is_new = await plans.create_plan(context.control, context.actor, requested, idempotency_key)
    return context.resource_response(plan, status=201 if is_new else 200)


@router.get("", response_model=PageResponse[PlanResponse])
async def list_plans(context: Context, limit: Limit = 50, cursor: Cursor = "") -> JSONResponse:
    """List plans by id, a page at a time."""
    found = await plans.list_plans(context.control, context.actor, cursor, limit)
    return context.page_response(found, [plan.id for plan in found], limit)


@router.get("/{plan_id}", response_model=PlanResponse)
async def show_plan(context: Context, plan_id: str) -> JSONResponse:
    """Show a plan. Its version is in the ETag header."""
    return context.resource_response(await plans.find_plan(context.control, context.actor, plan_id))


@router.patch("/{plan_id}", response_model=ChangedPlanResponse)
async def change_plan(context: Context, plan_id: str, body: PlanChange, version: IfMatch) -> JSONResponse:
    """Change a plan and copy its limits to its workspaces. If some are pending, send the request again."""
    before = await plans.find_plan(context.control, context.actor, plan_id)
    plan, spread = await plans.update_plan(context.control, context.actor, before, apply_changes(body, before), version)
    return context.resource_response(plan, workspaces={"updated": spread.updated, "pending": list(spread.pending)})


@router.delete("/{plan_id}", status_code=204)
async def delete_plan(context: Context, plan_id: str, version: OptionalVersion) -> Response:
    """Delete a plan. While a workspace is on it, the answer is 409."""
    await plans.delete_plan(context.control, context.actor, plan_id, version)
    return Response(status_code=204)
