"""`python -m llmforge`, which torchrun and deepspeed start."""

from llmforge.cli.main import main

if __name__ == "__main__":
    main()
