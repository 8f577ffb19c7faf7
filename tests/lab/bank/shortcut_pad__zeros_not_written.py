# task: shortcut.pad
# way: channel by channel
# slip: the new channels are never written, so they keep whatever was in out
# right: for c in range(channels):
# wrong: for c in range(x.shape[3]):

from tinyres.kernels.registry import kernel


@kernel("pad_shortcut", "student")
def pad_shortcut(x, *, channels, stride, out):
    for c in range(x.shape[3]):
        out[..., c] = x[:, ::stride, ::stride, c] if c < x.shape[3] else 0


def pad_shortcut_gradient(dy, *, shape, stride, out):
    raise NotImplementedError("shortcut.pad_gradient is not written yet")
