"""The steps."""

from greeting import greeting
from wflo import Context, step


@step
async def hello(context: Context) -> dict[str, str]:
    """Greet whoever is named"""
    name = context.inputs["name"]
    context.logger.info("greeting", name=name)
    return {"text": greeting(name)}
