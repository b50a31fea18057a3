"""The result of `capsim bench` as tables and facts for people."""

from collections.abc import Mapping
from typing import Any

NO_NUMBER = "none"
BUSY = 0.25  # of the cores, by others: more than the differences between two rounds


def rows_of(result: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Title -> rows: rates, ratios, scaling and costs; tables without rows are left out."""
    workloads = result["workloads"]
    names = list(dict.fromkeys(name for row in workloads for name in row["baselines"]))
    rates = [
        {"workload": row["name"], "capsim": _number(row["capsim"]), "of peak": _percent(row["peak_share"])}
        | {name: _cell(row["baselines"], name) for name in names}
        for row in workloads
    ]
    ratios = [{"workload": row["name"]} | {name: _cell(row["ratios"], name) for name in names} for row in workloads]
    details = result["scaling_details"]
    simulated = details["simulated"]
    scaling = [
        {"devices": f"{count} (simulated)" if int(count) in simulated else count}
        | {form: _number(details[form][count]) for form in ("strong", "weak") if form in details}
        for count in details["strong"]
    ]
    costs = [
        {"against": row["name"], "of": row["of"], "values": row["values"], "seconds": row["seconds"],
         "exponent": _number(row["exponent"]), "95% interval": row["interval"]}
        for row in result["costs"]
    ]  # fmt: skip
    tables = {
        "network-steps a second (medians)": rates,
        "times as fast as each baseline": ratios,
        "rate against one device": scaling,
        "seconds of a population, compiled": costs,
    }
    return {title: rows for title, rows in tables.items() if rows}


def facts(result: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> value: the machine, shares, times, and a line for everything that has no number or needs care."""
    machine, parts, starts = result["machine"], result["overhead_parts"] or {}, result["start_seconds"]
    found: dict[str, Any] = {
        "machine": f"{machine['processor']}, {machine['cores']} cores, {machine['system']}",
        "matrix-product peak, GFLOP/s": machine["gemm_peak_gflops"],
        "its kernel": machine["gemm"][0]["kernel"] if machine["gemm"] else NO_NUMBER,
        "overhead of a study": _percent(result["overhead"]),
        "of which store and progress": _percent(parts.get("store_share")),
        "of which data and evaluation": _percent(parts.get("evaluation_share")),
        "seconds to the first steps": f"{_number(starts['cold'])} cold, {_number(starts['warm'])} with a filled cache",
        "torch version": machine["versions"]["torch"] or "not installed: its columns are empty (`make bench` adds it)",
    }
    reasons = {f"{row['name']}, {name}": why for row in result["workloads"] for name, why in row["reasons"].items()}
    reasons |= {f"scaling, {name}": why for name, why in result["scaling_details"]["reasons"].items()}
    reasons |= {f"cost, {r['name']} = {value}": why for r in result["costs"] for value, why in r["reasons"].items()}
    reasons |= {"start": starts["reason"]} if "reason" in starts else {}
    found |= {f"no number for {name}": why for name, why in reasons.items()}
    notes = {f"{row['name']}, {name}": note for row in result["workloads"] for name, note in row["notes"].items()}
    found |= notes
    if machine["load"] is not None and machine["load"] > BUSY * machine["cores"]:
        found["do not quote"] = f"the machine was busy before the run (load {machine['load']:.1f})"
    if result["quick"]:
        found["do not quote, either" if "do not quote" in found else "do not quote"] = "a quick run has one round"
    return found


def _cell(numbers: Mapping[str, float | None], name: str) -> str:
    return _number(numbers[name]) if name in numbers else "-"


def _number(value: float | None) -> str:
    if value is None:
        return NO_NUMBER
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return NO_NUMBER if value is None else f"{value:.0%}" if value >= 0.1 else f"{value:.1%}"
