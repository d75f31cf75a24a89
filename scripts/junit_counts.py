"""Prints `PASSED FAILED` of a JUnit XML file; errors count as failed, skipped tests as neither."""

import sys
import xml.etree.ElementTree

suites = list(xml.etree.ElementTree.parse(sys.argv[1]).getroot().iter("testsuite"))
total, failed, skipped = (sum(sum(int(s.get(name, 0)) for name in names) for s in suites)
                          for names in (("tests",), ("failures", "errors"), ("skipped",)))
print(max(total - failed - skipped, 0), failed)
