"""How a report looks: light and dark by the reader's own setting, and on paper."""

from __future__ import annotations

PAGE_STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fcfcfa; --card: #ffffff; --ink: #20262d; --muted: #66717d; --rule: #e3e5e4;
  --shade: #f1f3f0; --link: #1d5fa8;
  --fit: #2f6db3; --validation: #2b8250; --holdout: #8a4fb0; --down: #b4463c;
  --gain-rgb: 43, 130, 80; --loss-rgb: 190, 72, 60;
  --loud-ink: #6b4700; --loud-paper: #fff6df; --loud-rule: #d9a62e;
  --bad-ink: #86231b; --bad-paper: #fdeeec; --good-ink: #1e653d;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #12161a; --card: #171c22; --ink: #d9dfe5; --muted: #8f9ba7; --rule: #2b333b;
    --shade: #1c232a; --link: #7bb8f5;
    --fit: #6cb0f5; --validation: #72c78a; --holdout: #c79be8; --down: #ee8277;
    --gain-rgb: 90, 190, 120; --loss-rgb: 235, 110, 98;
    --loud-ink: #f3d48b; --loud-paper: #2b2413; --loud-rule: #a37c22;
    --bad-ink: #f5a59d; --bad-paper: #2e1a19; --good-ink: #86d39e;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main, header, footer { max-width: 1120px; margin: 0 auto; padding: 0 28px; }
header { padding-top: 40px; }
footer { padding-top: 8px; padding-bottom: 48px; color: var(--muted); font-size: 13px; }
h1 { margin: 2px 0 6px; font-size: 30px; line-height: 1.2; font-weight: 650; }
h1 code { font-size: 27px; letter-spacing: .01em; }
h2 { margin: 0 0 12px; font-size: 18px; font-weight: 650; }
h3 { margin: 24px 0 8px; font-size: 15px; font-weight: 650; }
p { margin: 0 0 12px; max-width: 96ch; }
section { margin: 40px 0; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { font-size: .92em; overflow-wrap: anywhere; }
pre {
  margin: 0; padding: 14px 16px; border: 1px solid var(--rule); border-radius: 8px;
  background: var(--shade); font-size: 12.5px; line-height: 1.5; white-space: pre-wrap;
  overflow-wrap: anywhere;
}
.kind { margin: 0; color: var(--muted); font-size: 13px; letter-spacing: .04em; }
.lead { color: var(--muted); max-width: none; }
.scroll + dl { margin-top: 10px; }
.quiet { color: var(--muted); font-size: 13.5px; }
.over { margin: 20px 0 0; }
nav { margin: 14px 0 0; font-size: 13.5px; }
nav a { color: var(--link); text-decoration: none; margin-right: 16px; white-space: nowrap; }
nav a:hover, nav a:focus { text-decoration: underline; }
.notice {
  margin: 18px 0 0; padding: 12px 16px; border: 1px solid var(--loud-rule);
  border-left-width: 5px; border-radius: 8px; background: var(--loud-paper);
  color: var(--loud-ink); max-width: none;
}
.notice.bad { border-color: var(--bad-ink); background: var(--bad-paper); color: var(--bad-ink); }
.notice.calm { border-color: var(--rule); background: var(--card); color: var(--ink); }
.notice p { margin: 0; max-width: none; }
.notice .scroll { margin-top: 10px; }
.notice caption { color: inherit; }
.tiles {
  display: grid; grid-template-columns: 1fr 1fr; gap: 1px;
  margin: 4px 0 0; border: 1px solid var(--rule); border-radius: 8px; overflow: hidden;
  background: var(--rule);
}
@media (min-width: 560px) { .tiles { grid-template-columns: repeat(3, 1fr); } }
@media (min-width: 900px) { .tiles { grid-template-columns: repeat(6, 1fr); } }
.tiles div { padding: 12px 16px; background: var(--card); }
.tiles dt { color: var(--muted); font-size: 13px; }
.tiles dd { margin: 2px 0 0; font-size: 23px; font-weight: 600; line-height: 1.25; }
dl { margin: 0; }
dl:not(.tiles) {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); gap: 0 32px;
  font-size: 14px;
}
dl:not(.tiles) > div {
  display: flex; justify-content: space-between; gap: 20px; padding: 5px 0;
  border-bottom: 1px solid var(--rule);
}
dl:not(.tiles) > .wide { grid-column: 1 / -1; }
dl:not(.tiles) dt { color: var(--muted); white-space: nowrap; }
dl:not(.tiles) dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: 14px; }
caption { padding: 0 0 8px; text-align: left; color: var(--muted); font-size: 13.5px; }
th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--rule); text-align: left; }
thead th { vertical-align: bottom; border-bottom: 1px solid var(--muted); font-weight: 600; }
thead th small { display: block; color: var(--muted); font-weight: 400; }
tbody th { font-weight: 400; }
th:last-child, td:last-child { padding-right: 0; }
td.group, th.group { padding-top: 18px; }
th.group { font-weight: 650; }
.n { text-align: right; white-space: nowrap; }
.n + :not(.n) { padding-left: 14px; }
.wrapless { white-space: nowrap; }
.unit { color: var(--muted); font-size: 13px; }
.fit { --own: var(--fit); } .validation { --own: var(--validation); }
.holdout { --own: var(--holdout); } .down { --own: var(--down); }
thead .fit, thead .validation, thead .holdout { border-bottom: 2px solid var(--own); }
.pass { color: var(--good-ink); } .fail { color: var(--bad-ink); font-weight: 600; }
table.months { table-layout: fixed; min-width: 860px; }
table.months th:first-child { width: 126px; }
table.months tr > :last-child { width: 82px; }
table.months td, table.months th { text-align: right; padding: 5px 6px; }
table.months tbody th { text-align: left; white-space: nowrap; }
table.months th:first-child { text-align: left; padding-left: 0; }
table.months td { white-space: nowrap; font-size: 13px; }
.g1 { background: rgba(var(--gain-rgb), .09); } .g2 { background: rgba(var(--gain-rgb), .18); }
.g3 { background: rgba(var(--gain-rgb), .29); } .g4 { background: rgba(var(--gain-rgb), .42); }
.l1 { background: rgba(var(--loss-rgb), .09); } .l2 { background: rgba(var(--loss-rgb), .18); }
.l3 { background: rgba(var(--loss-rgb), .29); } .l4 { background: rgba(var(--loss-rgb), .42); }
.charts { display: grid; gap: 20px; }
@media (min-width: 820px) { .charts.two { grid-template-columns: 1fr 1fr; }
  .charts.three { grid-template-columns: 1fr 1fr 1fr; } }
.chart { display: block; width: 100%; height: auto; font-size: 11.5px; }
.chart text { fill: var(--ink); }
.chart .tick, .chart .note { fill: var(--muted); }
.chart text.name { fill: var(--own); font-size: 13.5px; font-weight: 650; }
.chart .result { fill: var(--ink); font-weight: 650; }
.chart .value { font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.chart .ground { fill: none; } .chart .ground.shaded { fill: var(--shade); }
.chart .grid { stroke: var(--rule); stroke-width: 1; }
.chart .zero { stroke: var(--muted); stroke-opacity: .7; }
.chart .line { fill: none; stroke: var(--own); stroke-width: 1.5; stroke-linejoin: round; }
.chart .line.down { stroke-width: 1; }
.chart .area { fill: var(--own); fill-opacity: .16; }
.chart .dot { fill: var(--own); }
@media print {
  @page { margin: 14mm 12mm; }
  body { font-size: 10.5pt; background: none; print-color-adjust: exact;
    -webkit-print-color-adjust: exact; }
  main, header, footer { max-width: none; padding: 0; }
  nav { display: none; }
  section { margin: 22px 0; }
  table { font-size: 9pt; }
  th, td { padding-top: 3px; padding-bottom: 3px; }
  .tiles { grid-template-columns: repeat(6, 1fr); }
  .tiles div { padding: 8px 10px; }
  .tiles dt { font-size: 8pt; }
  .tiles dd { font-size: 12pt; }
  table.months { min-width: 0; }
  table.months td, table.months th { font-size: 7pt; padding: 3px 2px; }
  table.months th:first-child { width: 86px; }
  table.months tr > :last-child { width: 52px; }
  .scroll { overflow: visible; }
  h2, h3, caption { break-after: avoid; }
  tr, .chart, .notice, .tiles, #equity, #months { break-inside: avoid; }
  .charts.two { grid-template-columns: 1fr 1fr; }
  .charts.three { grid-template-columns: 1fr 1fr 1fr; }
}
"""
