#!/usr/bin/env python
"""Read signatures, docstrings and docments from source, without importing it, and write them for Sphinx.

A docment is the comment on a parameter's line; of a parameter annotated `Annotated[type, Option(help=...)]` it is the help.
"""
import ast
import inspect
import io
import re
import tokenize
from dataclasses import dataclass, field

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
CODE = re.compile(r"(`+)(?:(?!\1).)+?\1", re.DOTALL)


@dataclass
class Param:
    """A parameter, a field of a dataclass, or (with an empty name) the return value."""
    name: str
    type: str = ""
    default: str | None = None
    comment: str = ""


@dataclass
class Item:
    """Something a module exports: its kind in Sphinx's Python domain, its signature and what is said about it."""
    kind: str  # function, class, method, property, classmethod, staticmethod, data
    name: str  # `Class.method` of a method that is patched on
    signature: str = ""
    doc: str = ""
    params: list = field(default_factory=list)
    result: Param | None = None
    members: list = field(default_factory=list)
    note: str = ""  # a line under the docstring


def read_comments(source: str) -> dict:
    """Return line number -> comment, for lines that hold code before it."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.line[:token.start[1]].strip(): found[token.start[0]] = token.string.lstrip("# ").strip()
    return found


def read_annotation(node) -> tuple:
    """Return the type an annotation names, and the help that `Annotated` carries."""
    if node is None: return "", ""
    if isinstance(node, ast.Constant) and isinstance(node.value, str): return node.value, ""
    if not (isinstance(node, ast.Subscript) and ast.unparse(node.value).rpartition(".")[2] == "Annotated"): return ast.unparse(node), ""
    type_, *extras = node.slice.elts
    keywords = [keyword for extra in extras if isinstance(extra, ast.Call) for keyword in extra.keywords]
    found = [keyword.value.value for keyword in keywords if keyword.arg == "help" and isinstance(keyword.value, ast.Constant)]
    return ast.unparse(type_), " ".join(found)


def every_argument(args: ast.arguments) -> list:
    """Return (argument, name as it is shown, default) in order."""
    plain = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(plain) - len(args.defaults)) + args.defaults
    found = [(arg, arg.arg, default) for arg, default in zip(plain, defaults)]
    found += [(args.vararg, "*" + args.vararg.arg, None)] if args.vararg else []
    found += [(arg, arg.arg, default) for arg, default in zip(args.kwonlyargs, args.kw_defaults)]
    return found + ([(args.kwarg, "**" + args.kwarg.arg, None)] if args.kwarg else [])


def read_params(node, comments: dict, method: bool) -> list:
    """Return the parameters of a function that callers see; of a method without the first."""
    params, arguments = [], [found for found in every_argument(node.args)[method:] if not found[1].startswith("_")]
    lines = [arg.lineno for arg, _, _ in arguments]
    for arg, name, default in arguments:
        type_, comment = read_annotation(arg.annotation)
        last = default.end_lineno if default is not None else arg.end_lineno
        alone = lines.count(arg.lineno) == 1 and last not in (set(lines) - {arg.lineno}) and last != node.body[0].lineno
        beside_result = node.returns is not None and node.returns.lineno == last
        comment = comment or (comments.get(last, "") if alone and not beside_result else "")
        params.append(Param(name, type_, None if default is None else ast.unparse(default), comment))
    return params


def read_signature(node, method: bool) -> str:
    """Return `(a, b=1, *, c=2) -> Type`: names and defaults; the types are in the table."""
    args = ast.parse(ast.unparse(node)).body[0].args
    for arg, _, _ in every_argument(args): arg.annotation = None
    if method: (args.posonlyargs or args.args or [None]).pop(0)
    hidden = [place for place, arg in enumerate(args.kwonlyargs) if arg.arg.startswith("_")]
    for place in reversed(hidden): del args.kwonlyargs[place], args.kw_defaults[place]
    while args.args and args.defaults and args.args[-1].arg.startswith("_"): del args.args[-1], args.defaults[-1]
    result = f" -> {read_annotation(node.returns)[0]}" if node.returns is not None else ""
    return f"({ast.unparse(args)}){result}"


def decorators(node) -> list:
    """Return the names a function or class is decorated with; `property` also for `@patch(as_prop=True)`."""
    calls = [(found.func, found.keywords) if isinstance(found, ast.Call) else (found, []) for found in node.decorator_list]
    names = [ast.unparse(function).rpartition(".")[2] for function, _ in calls]
    return names + ["property" for _, keywords in calls for keyword in keywords if keyword.arg == "as_prop"]


def read_function(node, comments: dict, owner: str = "") -> Item:
    """Return the Item of a function, of a method of `owner`, or of one patched onto the class its `self` is annotated with."""
    marks = decorators(node)
    first = next((arg for arg, _, _ in every_argument(node.args)), None)
    patched = "patch" in marks and first is not None and first.annotation is not None
    method = bool(owner or patched) and "staticmethod" not in marks
    kind = next((mark for mark in ("property", "classmethod", "staticmethod") if mark in marks), "method" if method else "function")
    name = f"{ast.unparse(first.annotation)}.{node.name}" if patched else node.name
    result = node.returns and Param("", read_annotation(node.returns)[0], None, comments.get(node.returns.end_lineno, ""))
    signature = "" if kind == "property" else read_signature(node, method)
    return Item(kind, name, signature, ast.get_docstring(node) or "", read_params(node, comments, method), result)


def is_event(node) -> bool:
    """Return whether a method is one of fastai's events, known by name, about which nothing is said."""
    return bool(re.match(r"(before|after)_", node.name)) and not ast.get_docstring(node)


def is_public(name: str) -> bool: return not name.startswith("_") or name in ("__call__",)


def read_default(node) -> str | None:
    """Return the default of a dataclass's field: of `field(default_factory=dict)` it is `dict()`."""
    if node is None: return None
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords} if isinstance(node, ast.Call) else {}
    if not given or ast.unparse(node.func).rpartition(".")[2] != "field": return ast.unparse(node)
    return given.get("default") or (given["default_factory"] + "()" if "default_factory" in given else None)


def read_class(node, comments: dict) -> Item:
    """Return the Item of a class: the parameters of `__init__` or a dataclass's fields, and its public methods."""
    functions = [child for child in node.body if isinstance(child, FUNCTION)]
    start = next((child for child in functions if child.name == "__init__"), None)
    item = Item("class", node.name, doc=ast.get_docstring(node) or "")
    if start:
        item.params, item.signature = read_params(start, comments, True), read_signature(start, True).partition(" -> ")[0]
    elif "dataclass" in decorators(node):
        fields = [child for child in node.body if isinstance(child, ast.AnnAssign) and not child.target.id.startswith("_")]
        item.params = [Param(child.target.id, ast.unparse(child.annotation), read_default(child.value), comments.get(child.end_lineno, ""))
                       for child in fields]
        item.signature = "(" + ", ".join(p.name if p.default is None else f"{p.name}={p.default}" for p in item.params) + ")"
    item.members = [read_function(child, comments, node.name) for child in functions if is_public(child.name) and not is_event(child)]
    return item


def assigned(node) -> list:
    """Return the names a statement assigns."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def read_items(source: str) -> list:
    """Return the public Items of an exported cell, in order."""
    comments, items = read_comments(source), []
    for node in ast.parse(source).body:
        is_function = isinstance(node, FUNCTION) and "overload" not in decorators(node)  # the last definition says it all
        if is_function and is_public(node.name): items.append(read_function(node, comments))
        if isinstance(node, ast.ClassDef) and is_public(node.name): items.append(read_class(node, comments))
        items += [Item("data", name, signature=ast.unparse(node.value) if node.value is not None else "",
                       doc=comments.get(node.end_lineno, "")) for name in assigned(node) if is_public(name)]
    return items


def defined_names(source: str) -> list:
    """Return the names an exported cell defines."""
    nodes = ast.parse(source).body
    names = [node.name for node in nodes if isinstance(node, (*FUNCTION, ast.ClassDef))]
    return names + [name for node in nodes for name in assigned(node)]


def only_imports(source: str) -> bool:
    """Return whether a cell holds imports and nothing else; one with magics does not."""
    try: return all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.parse(source).body)
    except SyntaxError: return False


def escape(text: str) -> str:
    """Return a docstring or comment as Markdown: what is outside backticks is plain text."""
    pieces, place = [], 0
    for code in CODE.finditer(text):
        pieces += [re.sub(r"([<$*_\[\]])", r"\\\1", text[place:code.start()]), code[0]]
        place = code.end()
    return "".join(pieces) + re.sub(r"([<$*_\[\]])", r"\\\1", text[place:])


def as_code(text: str) -> str:
    """Return `text` as inline code that may stand in a table."""
    text = " ".join(text.split()).replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`" if text else ""


def write_type(text: str, link) -> str:
    """Return a type as inline code, each part of a plain union a link where it can be."""
    parts = [text] if "[" in text else text.split(" | ")
    return " \\| ".join(link(as_code(part)) for part in parts)


def write_table(item: Item, link) -> str:
    """Return the table of parameters and return value; empty where nothing but names is known."""
    params = [p for p in item.params if p.type or p.comment]
    result = item.result if item.result and (item.result.comment or item.result.type not in ("None", "")) else None
    if not params and not (result and result.comment): return ""
    about = [p.comment for p in [*item.params, *([result] if result else [])]]
    rows = [[as_code(p.name), write_type(p.type, link), "" if p.default is None else as_code(p.default)] for p in item.params]
    rows += [["*returns*", write_type(result.type, link), ""]] if result else []
    rows = [[*row, link(escape(comment)).replace("|", "\\|")] for row, comment in zip(rows, about)]
    columns = [column for column in zip(("parameter", "type", "default", "description"), *rows) if any(column[1:])]
    head, *rows = zip(*columns)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def write_item(item: Item, link=lambda text: text, owner: str = "") -> str:
    """Return the MyST directive of `item`; `link` turns names in backticks into links."""
    kind = item.kind if item.kind not in ("classmethod", "staticmethod") else "method"
    options = [f":{item.kind}:"] if item.kind in ("classmethod", "staticmethod") else []
    head = item.name + ("" if item.kind == "data" else item.signature)
    if item.kind == "data" and item.signature and len(item.signature) <= 80: options.append(f":value: {item.signature}")
    doc = link(escape(inspect.cleandoc(item.doc)))
    blocks = ["\n".join(options), doc, item.note, "" if item.kind == "data" else write_table(item, link)]
    blocks += [write_item(member, link, item.name) for member in item.members]
    body = "\n\n".join(block for block in blocks if block)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"^`{3,}", body, re.MULTILINE)), default=0))
    return f"{fence}{{py:{kind}}} {head}\n{body}\n{fence}"
