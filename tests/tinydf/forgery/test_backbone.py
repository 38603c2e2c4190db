import torch

from tinydf.forgery.backbone import TinyNet

# timm's tinynet_a, block by block: stage, index, kernel, in, expanded, gate's bottleneck, out.
TIMM_BLOCKS = (
    (1, 0, 3, 16, 96, 4, 24),
    (1, 1, 3, 24, 144, 6, 24),
    (2, 0, 5, 24, 144, 6, 40),
    (2, 1, 5, 40, 240, 10, 40),
    (3, 0, 3, 40, 240, 10, 80),
    (3, 1, 3, 80, 480, 20, 80),
    (3, 2, 3, 80, 480, 20, 80),
    (3, 3, 3, 80, 480, 20, 80),
    (4, 0, 5, 80, 480, 20, 112),
    (4, 1, 5, 112, 672, 28, 112),
    (4, 2, 5, 112, 672, 28, 112),
    (4, 3, 5, 112, 672, 28, 112),
    (5, 0, 5, 112, 672, 28, 192),
    (5, 1, 5, 192, 1152, 48, 192),
    (5, 2, 5, 192, 1152, 48, 192),
    (5, 3, 5, 192, 1152, 48, 192),
    (5, 4, 5, 192, 1152, 48, 192),
    (6, 0, 3, 192, 1152, 48, 320),
)
TIMM_PARAMETERS = 4_494_812


def norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")
    }
    return shapes | {f"{name}.num_batches_tracked": ()}


def gate(name: str, channels: int, reduced: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.conv_reduce.weight": (reduced, channels, 1, 1),
        f"{name}.conv_reduce.bias": (reduced,),
        f"{name}.conv_expand.weight": (channels, reduced, 1, 1),
        f"{name}.conv_expand.bias": (channels,),
    }


def timm_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "conv_stem.weight": (32, 3, 3, 3),
        "blocks.0.0.conv_dw.weight": (32, 1, 3, 3),
        "blocks.0.0.conv_pw.weight": (16, 32, 1, 1),
    }
    shapes |= norm("bn1", 32) | norm("blocks.0.0.bn1", 32) | gate("blocks.0.0.se", 32, 8) | norm("blocks.0.0.bn2", 16)
    for stage, index, kernel, channels, expanded, reduced, out in TIMM_BLOCKS:
        name = f"blocks.{stage}.{index}"
        shapes[f"{name}.conv_pw.weight"] = (expanded, channels, 1, 1)
        shapes[f"{name}.conv_dw.weight"] = (expanded, 1, kernel, kernel)
        shapes[f"{name}.conv_pwl.weight"] = (out, expanded, 1, 1)
        shapes |= norm(f"{name}.bn1", expanded) | norm(f"{name}.bn2", expanded) | norm(f"{name}.bn3", out)
        shapes |= gate(f"{name}.se", expanded, reduced)
    return shapes


def test_names_and_shapes_equal_those_of_timm() -> None:
    own = {name: tuple(value.shape) for name, value in TinyNet().state_dict().items()}
    assert own == timm_shapes()


def test_parameter_count_equals_that_of_timm() -> None:
    assert sum(parameter.numel() for parameter in TinyNet().parameters()) == TIMM_PARAMETERS


def test_features_have_the_published_sizes() -> None:
    with torch.inference_mode():
        shallow, deep = TinyNet().eval()(torch.zeros(2, 3, 224, 224))
    assert shallow.shape == (2, 16, 112, 112)
    assert deep.shape == (2, 320, 7, 7)


def test_autocast_changes_features_no_more_than_bfloat16_rounds() -> None:
    torch.manual_seed(0)
    model = TinyNet().eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        plain, _ = model(image)
        with torch.autocast("cpu", torch.bfloat16):
            mixed, _ = model(image)
    assert (plain - mixed).abs().max() <= 0.05 * plain.abs().max()
