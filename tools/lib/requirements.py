"""Prints which requirement is proven by which tests, from the ids in their names and tags."""
import glob
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IDS = ([f"G{i}" for i in range(1, 6)] + [f"A{i}" for i in range(6)] + [f"R{i}" for i in range(1, 12)] + [f"U{i}" for i in range(1, 14)] +
       [f"S{i}" for i in range(1, 5)] + [f"D{i}" for i in range(1, 5)] + [f"O{i}" for i in range(1, 6)])

tests = {}
for path in glob.glob(os.path.join(ROOT, "**/tests/**/*_test.cpp"), recursive=True):
    with open(path) as f:
        for name, tags in re.findall(r'TEST_CASE\(\s*"((?:[^"\\]|\\.)*)"\s*,\s*"([^"]*)"', f.read()):
            for tag in re.findall(r"\[([A-Z]\d+)\]", tags):
                tests.setdefault(tag, []).append(f"{os.path.relpath(path, ROOT)}: {name}")
for path in glob.glob(os.path.join(ROOT, "**/test_*.py"), recursive=True):
    with open(path) as f:
        text = f.read()
    for marks, name in re.findall(r"@requirement\(([^)]*)\)\s*(?:@[^\n]*\n\s*)*def (test_\w+)", text):
        for tag in re.findall(r"[A-Z]\d+", marks):
            tests.setdefault(tag, []).append(f"{os.path.relpath(path, ROOT)}: {name}")
for tag in IDS:
    found = tests.get(tag, [])
    print(f"{tag:4} {len(found):3} test{'s' if len(found) != 1 else ''}" + ("" if found else "   not proven yet"))
    for name in found:
        print("         " + name)
print(f"\n{sum(1 for tag in IDS if tests.get(tag))} of {len(IDS)} requirements have a test.")
