"""What a protocol's page adds to the style sheet of the reports: charts in the reader's light or dark."""

from __future__ import annotations

PROTOCOL_STYLE = """
:root {
  --c0: #0072b2; --c1: #d55e00; --c2: #008662; --c3: #a8457f; --heat: #ff7a00; --most: 0.78; --area: 0.16;
}
@media (prefers-color-scheme: dark) {
  :root { --c0: #56b4e9; --c1: #ff923c; --c2: #28c896; --c3: #e68cc3; --heat: #ff8a1f; --most: 0.62; --area: 0.22; }
}
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 0.5rem 3rem; }
.plot { max-width: 31rem; margin: 0; }
.plot h3 { margin: 1.4rem 0 0.5rem; }
.plot svg { display: block; width: 100%; height: auto; overflow: visible; }
.plot text { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--faint);
  font-variant-numeric: tabular-nums; }
.plot .axis { fill: var(--ink); }
.plot .name { font-size: 12px; fill: var(--ink); }
.plot .value { font-size: 12px; font-weight: 600; fill: var(--ink); }
.rule { stroke: var(--line); stroke-width: 1; }
.line { fill: none; stroke: var(--c); stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.area { fill: var(--c); fill-opacity: var(--area); }
.dot { fill: var(--c); stroke: var(--paper); stroke-width: 1.5; }
.bar { fill: var(--c); fill-opacity: 0.75; }
.whisker { stroke: var(--ink); stroke-width: 1.2; fill: none; }
.mark { stroke: var(--faint); stroke-width: 1.3; stroke-dasharray: 3 3; }
.keys { list-style: none; display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; padding: 0; margin: 0.4rem 0 0;
  font-size: 0.9rem; }
.keys i { display: inline-block; width: 1.3rem; height: 0.28rem; border-radius: 2px; margin-right: 0.45rem;
  vertical-align: 0.22rem; background: var(--c); }
.map { max-width: 24rem; }
.cell { fill: var(--heat); fill-opacity: calc(var(--v) * var(--most)); stroke: var(--line); stroke-width: 1; }
.face path, .face circle { fill: none; stroke: var(--faint); stroke-opacity: 0.55; stroke-width: 1.4;
  vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.plot .cost { font-size: 17px; font-weight: 650; fill: var(--ink); paint-order: stroke; }
.plot .unsure { font-weight: 400; font-size: 15px; fill-opacity: 0.75; }
.ramp { display: flex; align-items: center; gap: 0.6rem; font-size: 0.85rem; color: var(--faint); margin-top: 0.6rem; }
.ramp .size { width: 1.5rem; } .ramp .size + span { margin-right: 0.8rem; }
footer { margin-top: 2.5rem; }
.frame { fill: none; stroke: var(--faint); } .block { fill: var(--faint); }
.ramp i { flex: 1; height: 0.6rem; border-radius: 3px; border: 1px solid var(--line); opacity: var(--most);
  background: linear-gradient(90deg, transparent, var(--heat)); }
.worst { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.4rem, 1fr)); gap: 1.1rem 1rem; }
.worst figure { margin: 0; }
.worst .two { display: grid; grid-template-columns: 1fr 1fr; gap: 3px; }
.worst img { display: block; width: 100%; height: auto; border-radius: 0.25rem; }
.worst figcaption { font-size: 0.85rem; margin-top: 0.35rem; overflow-wrap: anywhere; }
.worst b { font-variant-numeric: tabular-nums; }
.worst small { display: block; }
.held { color: var(--c1); font-weight: 600; font-size: 0.78rem; display: block; }
.tile { border-top-color: var(--c0); }
code { font: 0.86em ui-monospace, SFMono-Regular, Menlo, monospace; overflow-wrap: anywhere; }
""".strip()
