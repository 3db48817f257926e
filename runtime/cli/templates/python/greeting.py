"""What the step computes. It needs no host, so its tests need none."""


def greeting(name: str) -> str:
    return f"Hello, {name.strip()}!"
