"""What the page of methods adds to the style sheets of the reports: families, marks, wide tables."""

from __future__ import annotations

METHODS_STYLE = """
:root { --c4: #7a5c00; --better: #005f9e; --worse: #b03a00; --key: #3c4048; }
@media (prefers-color-scheme: dark) {
  :root { --c4: #e0c04c; --better: #6cc0f5; --worse: #ff9a5c; --key: #d4d7dd; }
}
.f0 { --c: var(--c0); --dash: none; } .f1 { --c: var(--c1); --dash: 9 4; } .f2 { --c: var(--c2); --dash: 2 4; }
.f3 { --c: var(--c3); --dash: 9 4 2 4; } .f4 { --c: var(--c4); --dash: 5 3; } .fc { --c: var(--key); --dash: none; }
.lines { max-width: none; }
.lines .line, .key .line { stroke-dasharray: var(--dash); }
.lines .line { stroke-width: 1.7; }
.lines .strong { stroke-width: 4; }
.lines .area { fill-opacity: 0.13; }
.lines text.strong { font-weight: 700; }
.lead-line { fill: none; stroke: var(--c); stroke-width: 1; stroke-opacity: 0.5; }
.plot .dot { stroke-width: 1.2; }
.plot .hollow { fill: var(--paper); stroke: var(--c); stroke-width: 1.7; }
.lines .phone { display: none; }
@media (max-width: 40rem) { .lines .desk { display: none; } .lines .phone { display: block; } }
.plot svg.key { display: inline-block; width: 2.4rem; height: 0.7rem; margin-right: 0.45rem; }
.each { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.4rem, 1fr)); gap: 1rem 1.2rem; }
.small h4 { margin: 0; font-size: 0.9rem; font-weight: 600; overflow-wrap: anywhere; }
.small .line { stroke-width: 2; }
.verdict { stroke: var(--paper); stroke-width: 1; }
.better { --mark: var(--better); } .worse { --mark: var(--worse); }
.verdict { fill: var(--mark); }
.sign { color: var(--mark); font-size: 0.72em; margin-right: 0.3em; vertical-align: 0.08em; }
.zero { stroke: var(--ink); stroke-width: 1.3; }
.reach { fill: none; stroke: var(--c); stroke-width: 2; }
.beyond { fill: var(--c); }
.forest .other { font-style: italic; fill: var(--faint); }
.findings { padding-left: 1.2rem; margin: 0.9rem 0 0; }
.findings li { margin: 0.35rem 0; max-width: 48rem; }
.kinds h3 { margin-bottom: 0.3rem; }
.kinds ul { margin: 0; padding-left: 1.2rem; }
.kinds small { color: var(--faint); }
.methods th:first-child { border-right: 1px solid var(--line); }
.methods th, .methods td { padding: 0.4rem 0.5rem; }
.methods thead th { white-space: nowrap; }
.methods .who { display: block; white-space: normal; min-width: 6.5rem; max-width: 12rem; overflow-wrap: break-word;
  border-left: 0.25rem solid var(--c, transparent); padding-left: 0.5rem; }
.methods .who small { display: block; color: var(--faint); font-size: 0.76rem; }
.swatch { display: inline-block; width: 0.6rem; height: 0.6rem; border-radius: 2px; margin-right: 0.4rem;
  background: var(--c); }
.methods tr.control > * { background: var(--card); }
.methods tr.control .who { font-weight: 700; }
.methods .interval { white-space: nowrap; }
.meter { display: block; height: 0.25rem; min-width: 4.5rem; margin-top: 0.3rem; background: var(--line);
  border-radius: 2px; }
.meter i { display: block; height: 100%; background: var(--c0); border-radius: 2px; }
.legend + .scroll { margin-top: 0.9rem; }
.methods img { display: block; border-radius: 0.25rem; width: 5.2rem; height: auto; margin-left: auto; }
@media (max-width: 34rem) { .methods img { width: 4.2rem; } .methods .who { max-width: 8.8rem; } }
pre { overflow-x: auto; background: var(--card); padding: 0.7rem 0.9rem; border-radius: 0.5rem; font-size: 0.86rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
""".strip()
