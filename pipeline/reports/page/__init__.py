"""The HTML page of `reelbeam report`: one file that needs no network.

page.py           render_page: the content, the pictures and the changes as HTML
options.py        what the caller chooses: the largest size, and texts of the footer
overview.py       the head of the page and the failures, as view models
left_out.py       the inputs without rows, as texts
sections.py       the charts of the corpus, the contact sheets and the timelines, as view models
change_views.py   what changed, as view models
accuracy_view.py  how right the labels are, as view models
cards.py          clips as cards; a picture is embedded once
budget.py         which pictures are dropped so that the page is not too large
picture_counts.py how many clips have pictures, and why the others do not
tables.py         charts with their tables, as view models
text.py           text that is safe to show, numbers, times and places in videos
links.py          links to videos
csp.py            the Content-Security-Policy and its hashes

charts/           SVG charts
templates/        Jinja2 templates, one a section
style/            the style sheet, in the order of the file names
script.js         the search field and the filmstrips
"""
