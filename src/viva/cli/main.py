"""The command group, its language, and what happens to errors.

Every error that a person can cause ends in one sentence on standard error and exit code 1 (2 for a wrong command line).
"""

from __future__ import annotations

import errno
import importlib
import sys
from typing import Any

import click

from viva import __version__
from viva.cli.korean import speak_korean
from viva.cli.say import LANGUAGE, say

if LANGUAGE == "ko":
    speak_korean()  # before the first command is made: help texts are fixed then

# Command → module that defines it, and its line in the help; a module is imported when its command is called.
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("serve", say("앱을 켜고 브라우저에서 열기 (그냥 viva와 같음)", "Start the app and open it in the browser (same as plain viva)")),
    "practice": ("practice", say("터미널에서 연습하기", "Practise in the terminal")),
    "questions": ("reading", say("질문 목록", "List the questions")),
    "show": ("reading", say("질문 하나를 답과 함께 보기", "Show one question with its answer")),
    "grade": ("reading", say("답을 채점하기 (저장하지 않음)", "Grade an answer (nothing is kept)")),
    "grading": ("grading", say("채점기가 사람과 얼마나 맞는지 재기, 내가 고친 표시 꺼내기", "Measure how the grader agrees with people; your corrected marks")),
    "stats": ("reading", say("기록과 앞으로의 계획", "Your record and the days ahead")),
    "lab": ("labs", say("주장을 뒷받침하는 실험: 목록, 실행, 기록", "The experiments behind the claims: list, run, record")),
    "models": ("models", say("모델 목록과 기준 구현과의 차이", "List the models and how closely they equal their references")),
    "model": ("models", say("모델 하나의 층, 모양, 비용", "Layers, shapes and cost of one model")),
    "train": ("training", say("레시피로 모델 학습하기", "Train a model by a recipe")),
    "datasets": ("datasets", say("데이터셋 목록과 내려받기", "List the data sets and download them")),
    "bank": ("banks", say("질문 파일 검사", "Check question files")),
    "import": ("data", say("질문 목록이나 내 데이터 가져오기", "Import lists of questions, or your data")),
    "export": ("data", say("내 데이터를 JSON 파일 하나로", "All your data as one JSON file")),
    "backup": ("data", say("지금 백업하기", "Back up now")),
    "restore": ("data", say("백업으로 되돌리기", "Go back to a backup")),
    "check": ("data", say("저장된 데이터 검사", "Check the stored data")),
}


# The workshop's rooms, whose errors are sentences in English; what a Korean reader is told before the details.
ROOMS = ("viva.nn.", "viva.optim.", "viva.data.", "viva.models.", "viva.train.")
SUMMARIES: dict[str, str] = (
    {
        "DownloadError": "파일을 내려받지 못했습니다. 네트워크를 확인하거나, 파일이 있는 폴더를 VIVA_DATA_DIR에 적어 주세요.",
        "ChecksumError": "파일의 내용이 공개된 것과 다릅니다. 그 파일을 지우고 다시 받아 주세요.",
        "MissingData": "데이터를 찾지 못했습니다.",
        "LockError": "다른 프로세스가 같은 파일을 받고 있습니다. 끝난 뒤에 다시 해 주세요.",
        "DamagedCheckpoint": "온전한 체크포인트가 없습니다. 다른 폴더에서 다시 시작해 주세요.",
        "CheckpointError": "체크포인트를 쓸 수 없습니다.",
    }
    if LANGUAGE == "ko"
    else {}
)


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"viva.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(say("명령", "Commands")):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=_Lazy,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=say(
        "자신의 말로 답하는 딥러닝 면접 연습. 명령 없이 부르면 앱을 켜고 브라우저에서 엽니다.",
        "Practise deep-learning interviews in your own words. Without a command it starts the app and opens it in the browser.",
    ),
)
@click.version_option(__version__, prog_name="viva")
@click.pass_context
def group(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        from viva.cli.serve import serve_command

        ctx.invoke(serve_command)


def main(arguments: list[str] | None = None) -> Any:
    """Runs the command line; errors of the store and of files become one sentence."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal in another encoding shows '?' rather than ending in a traceback.
            stream.reconfigure(errors="replace")
    try:
        return group.main(args=arguments, prog_name="viva")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        click.echo(f"viva: {sentence}", err=True)
        sys.exit(1)


def _sentence(error: Exception) -> str | None:
    """The sentence of an error that is the person's to solve; None for one that is ours."""
    getter = getattr(error, "sentence", None) or getattr(error, "get", None)
    if callable(getter) and type(error).__module__.startswith("viva."):
        return str(getter(LANGUAGE))
    if type(error).__module__.startswith("viva.") or _said_by_the_workshop(error):
        summary = SUMMARIES.get(type(error).__name__)
        return f"{summary} {error}" if summary else str(error)
    if isinstance(error, OSError):
        known = {
            errno.ENOENT: say("그런 파일이 없습니다", "there is no such file"),
            errno.EISDIR: say("폴더입니다. 파일을 주세요", "is a folder; give a file"),
            errno.EACCES: say("읽거나 쓸 권한이 없습니다", "may not be read or written"),
            errno.ENOSPC: say("디스크가 가득 찼습니다", "the disk is full"),
        }
        reason = known.get(error.errno or 0, error.strerror or str(error))
        return f"{error.filename}: {reason}" if error.filename else reason
    return None


def _said_by_the_workshop(error: Exception) -> bool:
    """Whether the workshop itself raised this: its ValueErrors are sentences for a person, those of other packages are not."""
    if not isinstance(error, ValueError | TypeError | FloatingPointError):
        return False
    raised = error.__traceback__
    while raised is not None and raised.tb_next is not None:
        raised = raised.tb_next
    where = raised.tb_frame.f_globals.get("__name__", "") if raised is not None else ""
    return type(error) in (ValueError, TypeError, FloatingPointError) and where.startswith(ROOMS)
