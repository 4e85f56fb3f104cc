"""`llmforge parity` at the command line; what it compares is tested with the strategies."""


def test_a_number_of_processes_that_nothing_is_compared_on_is_refused(llmforge, tmp_path):
    (tmp_path / "own.yaml").write_text("model: {preset: gpt2-nano}\n")
    result = llmforge("parity", "-c", "own.yaml", "--processes", "3", cwd=tmp_path)
    assert result.returncode == 2
    assert "--processes is 3; allowed: 2, 4, 8" in result.stderr
