"""Adds up the stages of tools/test in a folder: `N passed, N failed, N skipped`; exits 1 on any failure or when nothing ran.

A stage left `<name>.code`, its exit code, and `<name>.xml`, its JUnit file. One that failed without a failed test in that
file (it crashed, or could not collect its tests) counts as a failure itself.
"""
import glob
import os
import sys
import xml.etree.ElementTree as tree

passed = failed = skipped = 0
for code_file in sorted(glob.glob(os.path.join(sys.argv[1], "*.code"))):
    stage = os.path.basename(code_file)[:-len(".code")]
    with open(code_file) as f:
        code = int(f.read())
    before = failed
    try:
        cases = list(tree.parse(code_file[:-len(".code")] + ".xml").getroot().iter("testcase"))
    except (OSError, tree.ParseError):
        cases = []
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
            failed += 1
            print(f"FAILED {case.get('classname', '')} {case.get('name')}")
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped += 1
            reason = case.find("skipped")
            print(f"SKIPPED {case.get('name')}: {reason.get('message', '') if reason is not None else ''}")
        else:
            passed += 1
    if (code != 0 and failed == before) or not cases:
        failed += 1
        print(f"FAILED {stage}: " + ("no test ran" if not cases else f"ended with {code}"))
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed else 0)
