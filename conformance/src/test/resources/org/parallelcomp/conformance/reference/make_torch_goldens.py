"""Writes what PyTorch computes for each operation of a backend: goldens of the oracle.

    python make_torch_goldens.py > torch-goldens.txt

Made with torch 2.15.0 on a processor. Inputs are single precision, one in twenty ten times as large; results are
computed in double precision and rounded once. One tensor a line:

    <operation>/<case> <name> <F32 or I32> <extents joined by x, or -> <bits of each number in hexadecimal>
"""

import sys

import torch
import torch.nn.functional as F

torch.manual_seed(20261122)


def normal(*dims):
    x = torch.randn(*dims)
    return torch.where(torch.rand(*dims) < 0.05, 10 * x, x)


def write(case, **tensors):
    for name, tensor in tensors.items():
        if not torch.is_tensor(tensor):
            tensor = torch.tensor(tensor)
        if tensor.is_floating_point():
            dtype, bits = "F32", tensor.to(torch.float32).contiguous().view(torch.int32)
        else:
            dtype, bits = "I32", tensor.to(torch.int32).contiguous()
        dims = "x".join(str(d) for d in tensor.shape) or "-"
        words = " ".join(format(b & 0xFFFFFFFF, "08x") for b in bits.flatten().tolist())
        print(case, name, dtype, dims, words)


def d(x):
    return x.to(torch.float64)


def tensor_operations():
    a, b = normal(3, 1, 7), normal(5, 1)
    write("add/broadcast", a=a, b=b, result=d(a) + d(b))
    write("subtract/broadcast", a=a, b=b, result=d(a) - d(b))
    write("multiply/broadcast", a=a, b=b, result=d(a) * d(b))
    write("divide/broadcast", a=a, b=b, result=d(a) / d(b))
    x = torch.tensor([0.0, -0.0, 1.5, -3, 80, -80, float("inf"), float("-inf"), float("nan"), 1e-40])
    write("affine/special", a=x, factor=-2.5, term=0.75, result=d(x) * -2.5 + 0.75)
    write("exp/special", a=x, result=d(x).exp())
    write("log/special", a=x, result=d(x).log())
    write("sqrt/special", a=x, result=d(x).sqrt())
    write("greaterThan/special", a=x, threshold=0.0, result=(x > 0).to(torch.float32))
    a = normal(3, 5, 13)
    for axis in (0, 1, -1):
        write(f"sum/axis{axis}", a=a, axis=axis, result=d(a).sum(axis))
        write(f"mean/axis{axis}", a=a, axis=axis, result=d(a).mean(axis))
        write(f"max/axis{axis}", a=a, axis=axis, result=a.amax(axis))
        write(f"min/axis{axis}", a=a, axis=axis, result=a.amin(axis))
        write(f"l2Norm/axis{axis}", a=a, axis=axis, result=torch.linalg.vector_norm(d(a), dim=axis))
    n = normal(4, 9)
    n[1, 3] = float("nan")
    write("max/nan", a=n, axis=1, result=n.amax(1))
    write("min/nan", a=n, axis=1, result=n.amin(1))
    s = 30 * normal(6, 13) + 500
    s[1, 3] = float("nan")
    s[2, :] = float("-inf")
    s[3, 4:] = float("-inf")
    write("softmax/special", a=s, result=F.softmax(d(s), -1))
    a, b = normal(3, 1, 5, 9), normal(2, 9, 7)
    write("matmul/batched", a=a, b=b, result=d(a) @ d(b))
    r = normal(3, 6, 8)
    spd = r @ r.mT + 2 * torch.eye(6)
    b = normal(3, 6, 2)
    write("choleskySolve/batched", a=spd, b=b, result=torch.cholesky_solve(d(b), torch.linalg.cholesky(d(spd))))
    a = normal(3, 5, 7)
    write("transpose/outer", a=a, axis=0, other=-1, result=a.transpose(0, -1))
    i = torch.arange(12).reshape(3, 4)
    write("transpose/integers", a=i, axis=0, other=1, result=i.T)
    b = normal(3, 2, 7)
    write("concat/middle", a=a, b=b, axis=1, result=torch.cat([a, b], 1))
    at = torch.randint(7, (3, 5, 4))
    write("gather/last", a=a, indices=at, result=torch.gather(a, -1, at))
    x = normal(2, 3, 11)
    for kernel in (1, 5, 21):
        average = F.avg_pool1d(d(x), kernel, stride=1, padding=kernel // 2, count_include_pad=True)
        write(f"averagePool1d/{kernel}", a=x, kernel=kernel, result=average)
        write(f"maxPool1d/{kernel}", a=x, kernel=kernel, result=F.max_pool1d(x, kernel, 1, kernel // 2))
    n = normal(1, 2, 15)
    n[0, 0, 4] = float("nan")
    n[0, 1, 6] = float("inf")
    write("maxPool1d/nan", a=n, kernel=5, result=F.max_pool1d(n, 5, 1, 2))
    m = (torch.rand(4, 6) < 0.5).to(torch.float32)
    a, b = normal(4, 6), normal(6)
    write("where/broadcast", mask=m, a=a, b=b, result=torch.where(m != 0, a, b))
    x = normal(5, 40)
    write("topK/distinct", a=x, count=9, result=x.topk(9).indices.sort(-1).values)
    write("argMax/distinct", a=x, result=x.argmax(-1))


def tables(positions, rotary_dims, stretch=1.0):
    frequencies = 10000.0 ** (-torch.arange(0, rotary_dims, 2, dtype=torch.float64) / rotary_dims)
    angles = torch.arange(positions, dtype=torch.float64)[:, None] * frequencies
    return (stretch * angles.cos()).float(), (stretch * angles.sin()).float()


def rotate_half_split(x, cosines, sines):
    """As transformers' apply_rotary_pos_emb: x * cos + rotate_half(x) * sin. x is [tokens, heads, dim]."""
    cos = torch.cat([cosines, cosines], -1)[:, None]
    sin = torch.cat([sines, sines], -1)[:, None]
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


def rotate_interleaved(x, cosines, sines):
    """As Llama's own code: neighbours are real and imaginary part, multiplied by cos + i sin."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous())
    return torch.view_as_real(pairs * torch.complex(cosines, sines)[:, None]).flatten(-2)


ROTATIONS = {"HALF_SPLIT": rotate_half_split, "INTERLEAVED": rotate_interleaved}


def decoder_operations():
    table, ids = normal(11, 8), torch.tensor([3, 0, 10, 3])
    write("embed/repeated", table=table, tokenIds=ids, result=F.embedding(ids, table))
    weight, bias, x = normal(7, 13), normal(7), normal(5, 13)
    write("linear/plain", weight=weight, **{"in": x}, result=F.linear(d(x), d(weight)))
    write("linear/bias", weight=weight, bias=bias, **{"in": x}, result=F.linear(d(x), d(weight), d(bias)))
    weight, x = normal(13), normal(4, 3, 13)
    epsilon = 1e-5
    write(
        "rmsNorm/heads", weight=weight, **{"in": x}, epsilon=epsilon,
        result=F.rms_norm(d(x), (13,), d(weight), torch.tensor(epsilon, dtype=torch.float32).item()))
    gate, up = 20 * normal(4, 13), normal(4, 13)
    write("swiGlu/saturated", gate=gate, up=up, result=F.silu(d(gate)) * d(up))
    a, b = normal(4, 13), normal(4, 13)
    write("addInPlace/plain", a=a, b=b, result=d(a) + d(b))
    logits, targets = 20 * normal(5, 31) + 300, torch.randint(31, (5,))
    likelihood = -F.cross_entropy(d(logits), targets, reduction="none")
    write("tokenLogLikelihood/large", logits=logits, targets=targets, result=likelihood)
    positions = torch.tensor([0, 49, 7, 7, 1])
    for style, rotate in ROTATIONS.items():
        for stretch in (1.0, 1.3):
            cosines, sines = tables(50, 16, stretch)
            x = normal(5, 3, 20)
            turned = rotate(d(x[..., :16]), d(cosines)[positions], d(sines)[positions])
            write(
                f"rope/{style}-{stretch}", inOut=x, positions=positions, cosines=cosines, sines=sines,
                result=torch.cat([turned, d(x[..., 16:])], -1))


def blocks():
    """A layer as transformers writes it: LlamaDecoderLayer, with Qwen's biases and norms of heads."""
    hidden, query_heads, kv_heads, dim, wide, tokens = 24, 4, 2, 8, 40, 5
    w = {
        "norm": normal(hidden), "query": normal(query_heads * dim, hidden), "queryBias": normal(query_heads * dim),
        "key": normal(kv_heads * dim, hidden), "keyBias": normal(kv_heads * dim),
        "value": normal(kv_heads * dim, hidden), "valueBias": normal(kv_heads * dim),
        "queryNorm": normal(dim), "keyNorm": normal(dim),
        "output": normal(hidden, query_heads * dim), "outputBias": normal(hidden),
        "feedForwardNorm": normal(hidden), "gate": normal(wide, hidden), "up": normal(wide, hidden),
        "down": normal(hidden, wide),
    }
    v = {name: d(x) for name, x in w.items()}
    x, attended = normal(tokens, hidden), normal(tokens, query_heads, dim)
    positions = torch.arange(20, 20 + tokens)
    cosines, sines = tables(30, dim)
    c, s = d(cosines)[positions], d(sines)[positions]
    eps = torch.tensor(1e-5, dtype=torch.float32).item()

    n = F.rms_norm(d(x), (hidden,), v["norm"], eps)
    q = F.linear(n, v["query"], v["queryBias"]).view(tokens, query_heads, dim)
    k = F.linear(n, v["key"], v["keyBias"]).view(tokens, kv_heads, dim)
    values = F.linear(n, v["value"], v["valueBias"]).view(tokens, kv_heads, dim)
    q = rotate_half_split(F.rms_norm(q, (dim,), v["queryNorm"], eps), c, s)
    k = rotate_half_split(F.rms_norm(k, (dim,), v["keyNorm"], eps), c, s)

    h = d(x) + F.linear(d(attended).flatten(1), v["output"], v["outputBias"])
    n = F.rms_norm(h, (hidden,), v["feedForwardNorm"], eps)
    h = h + F.linear(F.silu(F.linear(n, v["gate"])) * F.linear(n, v["up"]), v["down"])
    write(
        "blocks/llama", **w, hidden=x, attended=attended, positions=positions, cosines=cosines, sines=sines,
        queries=q, keys=k, values=values, result=h)


def attention():
    """Queries [tokens, queryHeads, dim]; keys and values [keys, kvHeads, dim], as they are appended."""
    for group, kv_heads, tokens, keys, dim in ((1, 1, 1, 1, 8), (1, 3, 6, 6, 16), (4, 2, 5, 12, 8), (7, 1, 9, 30, 16)):
        q, k, v = normal(tokens, group * kv_heads, dim), normal(keys, kv_heads, dim), normal(keys, kv_heads, dim)
        scale = torch.tensor(dim**-0.5, dtype=torch.float32).item()
        # The rows are the newest tokens: row i sees keys - tokens + i + 1 keys.
        seen = torch.arange(keys)[None] < keys - tokens + torch.arange(tokens)[:, None] + 1
        qh, kh, vh = d(q).transpose(0, 1), d(k).transpose(0, 1), d(v).transpose(0, 1)
        out = F.scaled_dot_product_attention(qh[None], kh[None], vh[None], seen, scale=scale, enable_gqa=True)[0]
        products = scale * qh @ kh.repeat_interleave(group, 0).mT
        products = products.masked_fill(~seen, float("-inf"))
        shape = f"{group}x{kv_heads}-{tokens}of{keys}"
        write(
            f"attend/{shape}", queries=q, keys=k, values=v, scale=scale,
            out=out.transpose(0, 1), logSumExp=products.logsumexp(-1))
        window, first, end = (tokens + 1) // 2, keys // 4, keys
        mass = products.softmax(-1)[:, -window:, first:end].sum(1)
        mass = mass.view(kv_heads, group, -1)
        write(
            f"attentionMass/{shape}", queries=q, keys=k, values=v, scale=scale, window=window, first=first, end=end,
            MEAN=mass.mean(1), MAX=mass.amax(1), MIN=mass.amin(1), NONE=mass.flatten(0, 1))


def cache():
    keys, values = normal(20, 2, 8), normal(20, 2, 8)
    positions = torch.randint(30, (20,))
    kept = [torch.tensor([0, 3, 4, 15]), torch.tensor([7, 16])]
    write(
        "compact/ragged", keys=keys, values=values, positions=positions, fromToken=2, tokens=17,
        kept=torch.tensor([4, 2]), indices=torch.cat(kept),
        resultKeys=torch.cat([keys[2 + i, h] for h, i in enumerate(kept)]),
        resultPositions=torch.cat([positions[2 + i] for i in kept]))
    for style, rotate in ROTATIONS.items():
        for stretch in (1.0, 1.3):
            cosines, sines = tables(60, 8, stretch)
            c, s = d(cosines), d(sines)
            # Keys as a decoder leaves them: raw ones, rotated to their positions.
            raw = d(normal(20, 2, 8))
            rotated = rotate(raw, c[positions], s[positions]).float()
            target = torch.arange(33, 53)
            moved = rotate(raw, c[target], s[target])
            write(
                f"rerotate/{style}-{stretch}", keys=rotated, positions=positions, cosines=cosines, sines=sines,
                first=33, result=moved.transpose(0, 1).flatten(0, 1), resultPositions=target.repeat(2))


if __name__ == "__main__":
    print("# torch", torch.__version__.split("+")[0], "by make_torch_goldens.py; do not edit", file=sys.stdout)
    tensor_operations()
    decoder_operations()
    blocks()
    attention()
    cache()
