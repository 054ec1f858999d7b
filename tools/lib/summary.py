"""Adds up the JUnit files of a folder: `N passed, N failed, N skipped`, and exits 1 on any failure or when nothing ran."""
import glob
import os
import sys
import xml.etree.ElementTree as tree

passed = failed = skipped = 0
for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.xml"))):
    for case in tree.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
            failed += 1
            print(f"FAILED {case.get('classname', '')} {case.get('name')}")
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped += 1
            reason = case.find("skipped")
            print(f"SKIPPED {case.get('name')}: {reason.get('message', '') if reason is not None else ''}")
        else:
            passed += 1
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or not passed else 0)
