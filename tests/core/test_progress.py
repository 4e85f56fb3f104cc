import logging

from llmforge.core import log
from llmforge.core.progress import progress


def test_a_log_gets_plain_lines_every_thirty_seconds_with_the_time_left(capsys) -> None:
    log.set_up()
    now_s = 0.0
    with progress("dedup sign", 100.0, clock=lambda: now_s) as shown:
        for now_s in (10.0, 29.0, 31.0, 50.0, 62.0):
            shown.update(now_s, "MB, 1.0 MB/s")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "dedup sign  31 of 100  MB, 1.0 MB/s  69 s left",
        "dedup sign  62 of 100  MB, 1.0 MB/s  38 s left",
    ]


def test_quiet_leaves_warnings(capsys) -> None:
    log.set_up(quiet=True)
    log.say("an announcement")
    log.warn("look here")
    assert capsys.readouterr().err == "warning: look here\n"
    assert logging.getLogger("llmforge").level == logging.WARNING


def test_a_choice_is_told_with_its_reason(capsys) -> None:
    log.set_up()
    log.decided("strategy", "single", "there is one process")
    assert capsys.readouterr().err == "strategy: single, because there is one process\n"
