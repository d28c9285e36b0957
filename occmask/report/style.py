"""The page's style sheet: one column that fits a phone, light and dark by the reader's own setting."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c1e22; --faint: #5c616b; --line: #e1e4e9; --card: #f6f7f9;
  --orange: #ff7a00; --teal: #00a28e; --link: #00639c; --shade: rgb(0 0 0 / 0.22);
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181d; --ink: #eceef2; --faint: #a4a9b4; --line: #343840; --card: #1e2128;
    --orange: #ff922e; --teal: #00c8af; --link: #7cc4f5; --shade: rgb(255 255 255 / 0.25);
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; -webkit-text-size-adjust: 100%;
}
main, header, footer { max-width: 70rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
footer { padding-bottom: 3rem; }
p, li, dd { max-width: 46rem; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.7rem, 5vw, 2.5rem); line-height: 1.15; margin: 0.2rem 0 0; letter-spacing: -0.015em; }
h2 { font-size: 1.35rem; line-height: 1.25; margin: 3rem 0 0.5rem; }
h3 { font-size: 1.02rem; margin: 1.75rem 0 0.5rem; }
a { color: var(--link); }
.kicker, .note, figcaption small, .interval { color: var(--faint); }
.kicker { margin: 0; font-size: 0.9rem; }
.note { font-size: 0.92rem; }
.lead { font-size: clamp(1.05rem, 2.6vw, 1.2rem); line-height: 1.5; max-width: 48rem; margin: 1rem 0 0; }
.lead + .lead { margin-top: 0.6rem; }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.75rem; margin:
  1.75rem 0 0;
}
.tile { background: var(--card); border-radius: 0.6rem; padding: 0.8rem 1rem; border-top: 4px solid var(--light); }
.tile b {
  display: block; font-size: 1.8rem; line-height: 1.2; font-variant-numeric: tabular-nums; letter-
  spacing: -0.02em;
}
.tile span { display: block; font-size: 0.9rem; }
@media (prefers-color-scheme: dark) { .tile { border-color: var(--dark) !important; } }
@media (max-width: 34rem) {
  .tiles { grid-template-columns: 1fr; gap: 0.5rem; }
  .tile { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.8rem; padding: 0.4rem 0.9rem; }
  .tile { border-top: 0; border-left: 4px solid var(--light); }
  .tile span:first-child { flex: 1; }
  .tile b { font-size: 1.35rem; }
}
figure { margin: 1rem 0 0; }
.chart img { display: block; width: 100%; height: auto; border-radius: 0.4rem; }
figcaption { margin-top: 0.5rem; line-height: 1.35; }
.faces {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(6.2rem, 1fr)); gap: 1.25rem 0.75rem;
  margin-top: 1.25rem;
}
@media (min-width: 48rem) {
  .faces {
    grid-template-columns: repeat(auto-fill, minmax(9.6rem, 1fr)); gap: 1.75rem 1.1rem; }
  }
.faces figure { margin: 0; }
.faces img { display: block; width: 100%; height: auto; border-radius: 0.3rem; }
.faces figcaption { font-size: 0.88rem; }
.faces small { display: block; font-size: 0.82rem; }
.legend {
  display: flex; flex-wrap: wrap; gap: 0.4rem 1.4rem; list-style: none; padding: 0; margin: 0.9rem 0
  0; font-size: 0.92rem;
}
.legend i {
  display: inline-block; width: 1.6rem; height: 0.95rem; margin-right: 0.5rem; vertical-align:
  -0.1rem; border-radius: 2px;
}
.legend .sure { background: linear-gradient(90deg, rgb(255 122 0 / 0.28), rgb(255 122 0 / 0.8)); }
.legend .said { border: 1px solid var(--orange); }
.legend .true { border: 3px solid var(--teal); }
.tables { display: flex; flex-wrap: wrap; gap: 0 2rem; }
.tables section { max-width: 100%; min-width: min(100%, 17rem); }
.tables .note { width: 0; min-width: 100%; margin: 0 0 0.6rem; }
.scroll {
  background: linear-gradient(var(--paper), var(--paper)) right / 2.5rem 100% no-repeat local,
    linear-gradient(90deg, transparent, var(--shade)) right / 1.1rem 100% no-repeat;  /* more to the right */
}
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 0.5rem; max-width: max-content; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; }
th, td { padding: 0.4rem 0.7rem; text-align: right; vertical-align: top; white-space: nowrap; line-height: 1.25; }
thead th {
  white-space: normal; font-weight: 600; font-size: 0.9rem; vertical-align: bottom; border-bottom: 2px
  solid var(--line);
}
tbody tr + tr > * { border-top: 1px solid var(--line); }
th:first-child { text-align: left; font-weight: 500; position: sticky; left: 0; background: var(--paper); }
.interval { display: block; font-size: 0.78rem; }
@media (max-width: 34rem) { th, td { padding: 0.4rem 0.55rem; font-size: 0.92rem; } thead th { font-size: 0.8rem; } }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: 0.15rem 1.25rem; font-size: 0.92rem; }
dt { color: var(--faint); overflow-wrap: anywhere; }
dd { margin: 0; }
summary { cursor: pointer; font-weight: 600; margin-top: 1rem; }
@media print { details > * { display: block; } }
""".strip()
