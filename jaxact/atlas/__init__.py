"""The atlas: one page a function, what the analysis says of it in pictures and facts, and one file of all."""

from jaxact.atlas.facts import Entry as Entry
from jaxact.atlas.facts import cells as cells
from jaxact.atlas.facts import columns as columns
from jaxact.atlas.facts import facts_of as facts_of
from jaxact.atlas.facts import summary as summary
from jaxact.atlas.facts import told as told
from jaxact.atlas.html import Page as Page
from jaxact.atlas.html import anchor as anchor
from jaxact.atlas.html import document as document
from jaxact.atlas.portrait import Portrait as Portrait
from jaxact.atlas.portrait import dead_regions as dead_regions
from jaxact.atlas.portrait import portrait as portrait
