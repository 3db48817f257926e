#!/usr/bin/env python3
"""Makes prices.csv from the price table of litellm.

    pip download --no-deps litellm==1.109.1 && unzip litellm-*.whl
    python3 prices.py litellm/model_prices_and_context_window_backup.json > prices.csv

Numbers are copied as text: no float is ever made of them.
"""
import json
import re
import sys

PACKAGE = "litellm 1.109.1"
FILE = "litellm/model_prices_and_context_window_backup.json"
DATE = "2026-11-12"  # of the upload to PyPI

WANTED = [
    r"gpt-3\.5-turbo(-0125|-1106|-16k)?",
    r"gpt-4(-0613|-turbo|-turbo-2024-04-09|-1106-preview)?",
    r"gpt-4o(-mini)?(-20\d\d-\d\d-\d\d)?",
    r"gpt-4\.1(-mini|-nano)?(-20\d\d-\d\d-\d\d)?",
    r"gpt-5(\.\d)?(-mini|-nano)?(-20\d\d-\d\d-\d\d)?",
    r"o[134](-mini)?(-20\d\d-\d\d-\d\d)?",
    r"claude-(haiku|sonnet|opus)-\d(-\d)?(-20\d{6})?",
    r"gemini/gemini-\d(\.\d)?-(pro|flash|flash-lite)(-preview)?",
    r"mistral/(mistral-(small|medium|large)-(latest|\d{4})|ministral-(3b|8b|14b)-(latest|\d{4})|open-mistral-nemo)",
]
PROVIDERS = {"openai", "anthropic", "gemini", "mistral"}


class Text(str):
    """A number as it is written."""


def plain(text):
    """Whether a price is one that a request without a service tier or a batch can be charged at."""
    return re.fullmatch(r"(input|output)_cost_per_token(_above_(\d+)k_tokens)?", text)


with open(sys.argv[1]) as file:
    table = json.load(file, parse_float=Text, parse_int=Text)

print(f"# Prices in USD a token. Made by prices.py from {PACKAGE} (PyPI, {DATE}), {FILE}.")
print("# tiers: ABOVE:INPUT:OUTPUT for requests of more than ABOVE tokens, `;` in between.")
print("# A model is left out when its provider may charge more than these prices unasked (cache writes of OpenAI).")
print(f"#! source = {PACKAGE}, {FILE}, {DATE}")
print("model,input,output,tiers,max_input_tokens,max_output_tokens")
for key, row in sorted(table.items()):
    provider = row.get("litellm_provider")
    if provider not in PROVIDERS or row.get("mode") != "chat":
        continue
    if not any(re.fullmatch(wanted, key) for wanted in WANTED):
        continue
    if provider == "openai" and "cache_creation_input_token_cost" in row:
        continue
    tiers = {}
    for name, price in row.items():
        match = plain(name)
        if match and match[3]:
            tiers.setdefault(int(match[3]) * 1000, {})[match[1]] = price
    for above, prices in tiers.items():
        # A tier that changes one of the two prices keeps the other.
        prices.setdefault("input", row["input_cost_per_token"])
        prices.setdefault("output", row["output_cost_per_token"])
    tiers = ";".join(f"{above}:{p['input']}:{p['output']}" for above, p in sorted(tiers.items()))
    fields = [
        key.split("/")[-1],
        row["input_cost_per_token"],
        row["output_cost_per_token"],
        tiers,
        row.get("max_input_tokens", ""),
        row.get("max_output_tokens", ""),
    ]
    print(",".join(fields))
