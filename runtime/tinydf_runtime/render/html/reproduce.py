"""What was typed -> the command that makes the same report again, without passwords."""

from __future__ import annotations

import shlex

import click
from click.core import ParameterSource

from tinydf_runtime.io.address import mask_credentials


def typed_command(context: click.Context) -> str:
    """Returns a command line with the inputs and options that were given, quoted for a POSIX shell."""
    words = [context.command.name or ""]
    for param in context.command.params:
        if param.name is None or context.get_parameter_source(param.name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params.get(param.name)
        if isinstance(param, click.Argument):
            words += [mask_credentials(str(one)) for one in (value if isinstance(value, tuple) else (value,))]
        elif isinstance(param, click.Option) and param.is_flag:
            words += [param.opts[0]] if value else []
        else:
            # An option whose text was turned into None stands for everything, as in --sample-fps all.
            words += [param.opts[0], "all" if value is None else str(value)]
    return shlex.join(words)
