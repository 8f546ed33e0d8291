"""Renders or lints a chart with Helm's own library: `helm.py render|lint CHART VALUES.json`."""

import json
import sys

from helm_python.chart import Chart, lint

command, path, values = sys.argv[1], sys.argv[2], json.load(open(sys.argv[3]))
if command == "lint":
    report = lint(path, values, strict=True)
    serious = [it for it in report["messages"] if it["severity"] >= 2] + report["errors"]
    sys.exit(json.dumps(serious) if serious else 0)
chart = Chart.load(path)
chart.validate_schema(values)
rendered = chart.render(values, name="demo", namespace="default")
print("\n---\n".join(text for name, text in rendered.items() if name.endswith(".yaml")))
