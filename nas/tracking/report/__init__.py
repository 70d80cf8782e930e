"""`report.html`: one page that opens offline and shows what a run found, what it costs, and how it was found.

Bokeh draws where it is installed (`hasnas[report]`), with its script inside the page; without it the same tables stand
beside Matplotlib's drawings. Bokeh and Matplotlib are imported when a page is written, not before.
"""

from .data import ReportData as ReportData
from .data import collect as collect
from .page import REPORT_FILE as REPORT_FILE
from .page import render_report as render_report
from .page import write_report as write_report
