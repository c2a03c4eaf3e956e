import shutil


def test_x(green, red):
    for n, k in (("green", green), ("red", red)):
        shutil.rmtree(f"/tmp/rep-{n}", ignore_errors=True)
        shutil.copytree(k.reports, f"/tmp/rep-{n}")
    print(red.outcome.terminal)
