"""The steps."""

from dataclasses import dataclass

from greeting import greeting
from wflo import Context, step


@dataclass
class Inputs:
    name: str


@step
async def hello(context: Context[Inputs]) -> dict[str, str]:
    """Greet whoever is named"""
    name = context.inputs.name
    context.logger.info("greeting", name=name)
    return {"text": greeting(name)}
