"""/admin/v1/plans"""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from tidegate.api.admin.dependencies import Asked, Cursor, IdempotencyKey, Limit, Version
from tidegate.api.admin.requests import PlanBody, PlanChange, applied
from tidegate.api.admin.responses import ChangedPlan, Page, PlanShown
from tidegate.control import plans
from tidegate.domain.managed_resources import Plan

router = APIRouter(prefix="/plans", tags=["plans"])


@router.post("", status_code=201, response_model=PlanShown, responses={200: {"model": PlanShown}})
async def create_plan(asked: Asked, body: PlanBody, idempotency_key: IdempotencyKey = None) -> JSONResponse:
    """Create a plan. The same again is answered with 200, and changes nothing."""
    plan, is_new = await plans.create(asked.control, asked.who, applied(body, Plan("", "")), idempotency_key)
    return asked.reply(plan, status=201 if is_new else 200)


@router.get("", response_model=Page[PlanShown])
async def list_plans(asked: Asked, limit: Limit = 50, cursor: Cursor = "") -> JSONResponse:
    found = await plans.page(asked.control, asked.who, cursor, limit)
    return asked.page(found, [plan.id for plan in found], limit)


@router.get("/{plan_id}", response_model=PlanShown)
async def show_plan(asked: Asked, plan_id: str) -> JSONResponse:
    return asked.reply(await plans.find(asked.control, asked.who, plan_id))


@router.patch("/{plan_id}", response_model=ChangedPlan)
async def change_plan(asked: Asked, plan_id: str, body: PlanChange, version: Version) -> JSONResponse:
    """Change a plan, and the copies of its limits in its workspaces. Where some are pending, send it again."""
    before = await plans.find(asked.control, asked.who, plan_id)
    plan, spread = await plans.update(asked.control, asked.who, before, applied(body, before), version)
    return asked.reply(plan, workspaces={"updated": spread.updated, "pending": list(spread.pending)})
