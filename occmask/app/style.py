"""The page's style; colours come from Gradio's theme, so that light and dark both work."""

from __future__ import annotations

STYLE = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; overflow: clip !important; }
.gradio-container .html-container { padding: 0 !important; }
.om-intro h1 { font-size: 1.65rem; line-height: 1.2; margin: 0 0 .35rem; font-weight: 700; }
.om-intro p { margin: 0; max-width: 46rem; color: var(--body-text-color-subdued); }
.om-card, .om-stage, .om-headline {
  background: var(--block-background-fill); border: 1px solid var(--border-color-primary); border-radius: 12px;
  padding: 14px 16px; color: var(--body-text-color);
}
.om-stage h3, .om-card h3 { margin: 0 0 10px; font-size: 1rem; font-weight: 650; color: var(--body-text-color); }
.om-card p { margin: 8px 0 0; font-size: .9rem; }
.om-key { color: var(--body-text-color-subdued) !important; font-size: .8rem !important; display: flex;
  flex-wrap: wrap;
  gap: 2px 7px; align-items: center; }
.om-head { display: flex; align-items: center; gap: 8px; margin-bottom: 10px; }
.om-head h3 { flex: 1; margin: 0; }
.om-stage button { font: inherit; font-size: .82rem; color: var(--body-text-color); cursor: pointer;
  background: var(--button-secondary-background-fill, var(--background-fill-secondary));
  border: 1px solid var(--border-color-primary); border-radius: 8px; padding: 5px 10px; }
.om-stage button:hover:not(:disabled) { border-color: var(--color-accent); }
.om-stage button:disabled { opacity: .45; cursor: default; }
.om-stage :focus-visible { outline: 2px solid var(--color-accent); outline-offset: 2px; }
.om-frame, .om-face { position: relative; width: min(100%, 270px); margin: 0 auto; border-radius: 8px;
  overflow: hidden;
  background: var(--background-fill-secondary); user-select: none; -webkit-user-select: none; }
.om-frame img, .om-face img { display: block; margin: 0; max-width: none; border-radius: 0; pointer-events: none; }
.om-picture[hidden] { display: none !important; }
.om-picture, .om-covers, .om-drop, .om-face > img, .om-face > svg { position: absolute; inset: 0; width: 100%;
  height: 100%; }
.om-frame.om-dropping { box-shadow: 0 0 0 3px var(--color-accent); }
.om-stage .om-drop { border: 2px dashed var(--border-color-primary); border-radius: 8px; background: none;
  padding: 16px;
  color: var(--body-text-color-subdued); font-size: .95rem; line-height: 1.45; }
.om-filled .om-drop, .om-frame:not(.om-filled) .om-covers { display: none; }
.om-cover { position: absolute; cursor: grab; touch-action: none; }
.om-cover:active { cursor: grabbing; }
.om-cover > img { width: 100%; height: 100%; }
.om-grey .om-cover > img { filter: grayscale(1); }
.om-selected { outline: 1.5px dashed var(--color-accent); }
.om-grip, .om-stage .om-off { position: absolute; display: none; width: 22px; height: 22px; padding: 0;
  border-radius: 50%; background: var(--color-accent); color: #fff; border: 2px solid #fff; line-height: 1; }
.om-selected .om-grip, .om-selected .om-off { display: block; }
.om-grip { right: calc(var(--right) + 2px); bottom: calc(var(--bottom) + 2px); cursor: nwse-resize; }
.om-grip::after { content: ""; position: absolute; inset: 5px; border-right: 2px solid #fff;
  border-bottom: 2px solid #fff; }
.om-stage .om-off { right: calc(var(--right) + 2px); top: calc(var(--top) + 2px);
  font-size: .95rem; line-height: 16px; }
.om-mark { position: absolute; display: none; width: 9px; height: 9px; margin: -4.5px 0 0 -4.5px; border-radius: 50%;
  border: 1.5px solid #fff; box-shadow: 0 0 0 1.5px #0ea5e9; pointer-events: none; }
.om-filled.om-marked .om-mark { display: block; }
.om-note { min-height: 1.2em; margin: 8px 0 0; font-size: .8rem; color: var(--body-text-color-subdued); }
.om-note.om-wrong { color: var(--error-text-color, #b91c1c); font-weight: 600; }
.om-label { margin: 6px 0; font-size: .82rem; color: var(--body-text-color-subdued); }
.om-palette { display: grid; grid-template-columns: repeat(4, 1fr); gap: 6px; }
.om-stage .om-palette button { display: flex; flex-direction: column; align-items: center; gap: 3px;
  padding: 6px 2px 4px;
  font-size: .74rem; touch-action: none; cursor: grab; }
.om-palette img { height: 30px; max-width: 56px; object-fit: contain; margin: 0; pointer-events: none; }
#om-headline { position: sticky; top: 8px; z-index: 30; }
.om-headline, .om-empty { box-shadow: 0 4px 14px rgba(0, 0, 0, .12); }
.om-head h3 { white-space: nowrap; }
.om-line { flex-wrap: nowrap !important; }
#om-examples { justify-content: flex-start; padding: 0; }
.om-headline { display: flex; align-items: center; gap: 18px; }
.om-headline p { margin: 0; font-size: 1rem; line-height: 1.45; }
.om-score { text-align: center; min-width: 84px; }
.om-score span { display: block; font-size: .78rem; color: var(--body-text-color-subdued); }
.om-score strong { font-size: 2rem; line-height: 1.1; font-variant-numeric: tabular-nums;
  color: var(--body-text-color); }
.om-row { display: grid; grid-template-columns: minmax(0, 1fr) 52px; gap: 3px 10px; padding: 7px 8px;
  border-radius: 8px; }
.om-row.om-chosen { background: var(--background-fill-secondary); }
.om-name { grid-column: 1; line-height: 1.25; font-size: .88rem; }
.om-name span { display: block; font-size: .76rem; color: var(--body-text-color-subdued); }
.om-track { grid-column: 1; position: relative; height: 10px; border-radius: 5px;
  background: var(--border-color-primary); }
.om-bar { position: absolute; inset: 0 auto 0 0; border-radius: 5px; background: #64748b; transition: width .15s; }
.om-chosen .om-bar { background: var(--color-accent); }
.om-tick, .om-tick-key { width: 3px; background: var(--body-text-color); border-radius: 2px; }
.om-tick { position: absolute; top: -4px; bottom: -4px; margin-left: -1.5px; }
.om-tick-key { display: inline-block; height: 13px; }
.om-value { grid-column: 2; grid-row: 1 / 3; text-align: right; align-self: center;
  font-variant-numeric: tabular-nums; }
.om-value span { display: block; font-size: .76rem; color: var(--body-text-color-subdued); }
.om-grid { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 16px; }
.om-places { width: min(100%, 270px); }
#om-details .om-face { width: min(100%, 230px); }
.om-over { image-rendering: pixelated; }
.om-box { position: absolute; border: 2px dashed #fff; box-shadow: 0 0 0 1px rgba(0, 0, 0, .65);
  box-sizing: border-box; }
.om-faint { opacity: .28; filter: grayscale(1); }
.om-unseen { fill: var(--body-text-color-subdued); }
.om-swatch { width: 13px; height: 13px; border-radius: 3px; display: inline-block; }
.om-red { background: rgb(214, 69, 65); }
.om-dash { border: 2px dashed var(--body-text-color); }
.om-ramp { width: 70px; height: 11px; border-radius: 3px;
  background: linear-gradient(90deg, #d97706, #cbd0d8 33%, #1d4ed8); }
.om-sizes { display: inline-flex; align-items: center; gap: 3px; margin-left: 6px; }
.om-sizes i { background: var(--body-text-color-subdued); width: 6px; height: 6px; border-radius: 1px; }
.om-sizes i:last-child { width: 13px; height: 13px; border-radius: 2px; }
.om-regions { margin-top: 16px; }
.om-regions table { width: 100%; border-collapse: collapse; margin: 0; font-size: .88rem; }
.om-regions th, .om-regions td { text-align: left; padding: 4px 8px 4px 0; border: 0; font-weight: 500;
  color: var(--body-text-color); background: none; }
.om-regions tbody th { width: 6.5rem; text-transform: capitalize; }
.om-regions td { white-space: nowrap; }
.om-mini { display: inline-block; vertical-align: middle; width: calc(100% - 4.2rem); max-width: 300px; height: 9px;
  border-radius: 5px; background: var(--border-color-primary); overflow: hidden; }
.om-mini i { display: block; height: 100%; background: rgb(214, 69, 65); }
.om-percent { display: inline-block; width: 3.6rem; text-align: right; font-variant-numeric: tabular-nums; }
.om-empty { color: var(--body-text-color-subdued); }
.om-foot { font-size: .8rem; color: var(--body-text-color-subdued); }
@media (max-width: 900px) { .om-grid { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 520px) {
  .om-headline { gap: 10px; padding: 8px 10px; }
  .om-headline p { font-size: .84rem; line-height: 1.35; }
  .om-score { min-width: 62px; }
  .om-score strong { font-size: 1.5rem; }
  .om-regions tbody th { width: 4.6rem; }
  .om-regions td { padding-right: 4px; }
  .om-mini { width: calc(100% - 2.9rem); }
  .om-percent { width: 2.7rem; font-size: .82rem; }
}
"""
