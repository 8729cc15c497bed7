"""The arithmetic of a Restormer on a GPU: multiplications and bytes of one tile, and the tiles a second that they allow.

docs/decisions/005-lean-forward.md has the network's two halves of a block; here each operation has what it multiplies and how
many numbers it reads and writes. The bytes are those of 16-bit activations that go through memory between operations; weights
stay in the caches. The steps fuse more and more:

    0  every operation by itself
    1  depthwise convolution and gate of the feed-forward in one kernel
    2  norms and sums with the input inside the matrix products around them
    3  depthwise convolution and q k^T in one kernel; q and k are never written; projection and attention are one matrix
    4  the whole feed-forward in one kernel
    5  qkv and its depthwise convolution in one kernel
"""

import dataclasses

STEPS = (
    "unfused",
    "depthwise + gate",
    "+ norms and sums in products",
    "+ depthwise + q k^T",
    "+ feed-forward in one kernel",
    "+ qkv in one kernel",
)


@dataclasses.dataclass(frozen=True)
class Size:
    dim: int = 48
    blocks: tuple = (4, 6, 6, 8)
    refinement: int = 4
    heads: tuple = (1, 2, 4, 8)
    expansion: float = 2.66
    channels: int = 3

    def stages(self):
        """(blocks, width, heads, level) of each: level l has the picture's sides halved l times."""
        up = [(self.blocks[level], max(level, 1), self.heads[level], level) for level in (2, 1, 0)]
        down = [(self.blocks[level], level, self.heads[level], level) for level in range(4)]
        return [(count, self.dim << width, heads, level)
                for count, width, heads, level in [*down, *up, (self.refinement, 1, self.heads[0], 0)]]

    def hidden(self, width):
        return int(width * self.expansion)


def block_operations(width, hidden, heads, pixels):
    """{operation: (multiplications, numbers read and written)} of a block at step 0."""
    c, h, n = width, hidden, pixels
    return {
        "norm1": (0, 2 * c * n),
        "qkv": (3 * c * c * n, 4 * c * n),
        "qkv depthwise": (27 * c * n, 6 * c * n),
        "lengths of q and k": (0, 6 * c * n),  # few against the products
        "q k^T": (c * (c // heads) * n, 2 * c * n),
        "attention v": (c * (c // heads) * n, 2 * c * n),
        "projection": (c * c * n, 2 * c * n),
        "sum 1": (0, 3 * c * n),
        "norm2": (0, 2 * c * n),
        "feed-forward in": (2 * c * h * n, (c + 2 * h) * n),
        "feed-forward depthwise": (18 * h * n, 4 * h * n),
        "gate": (0, 5 * h * n),
        "feed-forward out": (c * h * n, (c + h) * n),
        "sum 2": (0, 3 * c * n),
    }


def block_numbers(width, hidden, heads, pixels, step):
    """Numbers that a block reads and writes at a step."""
    if step == 0:
        return sum(numbers for _, numbers in block_operations(width, hidden, heads, pixels).values())
    c, h = width, hidden
    norms = 4 * c if step < 2 else 0
    attention = 22 * c if step < 3 else 10 * c if step < 5 else 4 * c
    feed_forward = 2 * c + 6 * h if step < 4 else 2 * c
    sums = 6 * c if step < 2 else 2 * c if step < 4 else c
    return (norms + attention + feed_forward + sums) * pixels


def resampling(size, width, height):
    """(multiplications, numbers) of what lies between the stages."""
    d, n = size.dim, width * height
    products = [(9 * size.channels, d, n), (9 * 2 * d, size.channels, n)]  # first and last convolution
    moved = [(size.channels + d) * n, (2 * d + 2 * size.channels) * n]
    for level in range(3):
        c, pixels = d << level, n >> 2 * level
        products.append((9 * c, c // 2, pixels))  # down
        moved.append((c + c // 2 + c) * pixels)
        below, pixels_below = 2 * c, pixels // 4
        products.append((9 * below, 2 * below, pixels_below))  # up
        moved.append((below + 6 * below) * pixels_below)
        moved.append(4 * c * pixels)  # joined with the skip
        if level > 0:
            products.append((2 * c, c, pixels))
            moved.append(3 * c * pixels)
    return sum(a * b * pixels for a, b, pixels in products), sum(moved)


def multiplications(size, width, height):
    """Multiply-adds of one tile."""
    total = resampling(size, width, height)[0]
    for blocks, channels, heads, level in size.stages():
        operations = block_operations(channels, size.hidden(channels), heads, width * height >> 2 * level)
        total += blocks * sum(products for products, _ in operations.values())
    return total


def tile_bytes(size, width, height, step, number_bytes=2):
    """Bytes that one tile's activations move at a step of the ladder."""
    numbers = resampling(size, width, height)[1]
    for blocks, channels, heads, level in size.stages():
        numbers += blocks * block_numbers(channels, size.hidden(channels), heads, width * height >> 2 * level, step)
    return number_bytes * numbers


def bound(size, width, height, step, multiplications_per_s, bytes_per_s):
    """(tiles a second at most, what limits them)."""
    computing = multiplications_per_s / multiplications(size, width, height)
    moving = bytes_per_s / tile_bytes(size, width, height, step)
    return min((computing, "arithmetic"), (moving, "memory"))
