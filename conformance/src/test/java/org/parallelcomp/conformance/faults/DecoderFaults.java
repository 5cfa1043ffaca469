package org.parallelcomp.conformance.faults;

import java.util.List;
import java.util.function.Supplier;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.faults.Breaking.Broken;
import org.parallelcomp.conformance.faults.Breaking.Call;
import org.parallelcomp.conformance.reference.OutOfBounds;

/** Faults of the parts of a layer, and of whole requests. */
final class DecoderFaults {
  static final List<Fault> FAULTS =
      List.of(
          new Fault(
              "embeds the next token in a batch's last row",
              "B301",
              breaking("embed", DecoderFaults::nextToken)),
          new Fault("forgets the bias", "B302", breaking("linear", call -> call.with(2, null))),
          new Fault(
              "writes one number behind a product",
              "B302",
              breaking("linear", call -> spilling(call))),
          new Fault(
              "leaves out the tail of a row that fills no vector",
              "B303",
              breaking("linear", DecoderFaults::withoutTail)),
          new Fault(
              "multiplies single-precision numbers in half precision",
              "B303",
              breaking(
                  "linear",
                  call ->
                      call.with(
                          3,
                          call.changed(
                              call.tensor(3),
                              x -> Float.float16ToFloat(Float.floatToFloat16(x)))))),
          new Fault(
              "lets NaN in one row poison the batch",
              "B304",
              breaking("linear", DecoderFaults::poisoned)),
          new Fault(
              "shares the scratch of products between threads",
              "B305",
              breaking("linear", new SharedScratch(3)::call)),
          new Fault(
              "normalises without epsilon", "B306", breaking("rmsNorm", call -> call.with(3, 0f))),
          new Fault(
              "rotates by the position before",
              "B307",
              breaking("rope", DecoderFaults::onePositionBack)),
          new Fault(
              "rotates neighbours where halves are meant",
              "B307",
              breaking("rope", call -> call.with(2, otherStyle(call.get(2, Rope.class))))),
          new Fault(
              "rotates a whole head where a part is meant",
              "B307",
              breaking("rope", DecoderFaults::wholeHead)),
          new Fault("overflows in a gate", "B308", breaking("swiGlu", DecoderFaults::overflowing)),
          new Fault(
              "adds twice",
              "B309",
              breaking(
                  "add",
                  call -> {
                    call.honestly();
                    return call.honestly();
                  })),
          new Fault(
              "takes a likelihood without the maximum",
              "B310",
              breaking("tokenLogLikelihood", DecoderFaults::plainLikelihood)),
          new Fault(
              "forgets the norm of the keys in a fused block",
              "B311",
              breaking("attentionInput", DecoderFaults::withoutKeyNorm)),
          new Fault(
              "clamps infinities",
              "B312",
              breaking(
                  "add",
                  call -> {
                    call.honestly();
                    call.change(
                        call.tensor(0),
                        x -> Float.isInfinite(x) ? Math.copySign(Float.MAX_VALUE, x) : x);
                    return null;
                  })),
          new Fault(
              "writes behind a row of a view",
              "B314",
              breaking(
                  "rmsNorm",
                  call -> {
                    call.honestly();
                    OutOfBounds.writeBehindFirstRow(call.tensor(0));
                    return null;
                  })),
          new Fault(
              "takes a bias of another length", "B315", breaking("linear", DecoderFaults::anyBias)),
          new Fault(
              "keeps something of the call before",
              "B316",
              breaking("linear", new Carrying()::call)),
          new Fault(
              "rotates by angles of its own where the table stretches",
              "B317",
              breaking("rope", DecoderFaults::unstretched)),
          new Fault(
              "forgets the scale where attention and what is behind it are one",
              "B319",
              Breaking.method(Backend.class, "attendAndFeedForward", call -> call.with(3, 1f))),
          new Fault(
              "keeps the residual of the request before",
              "B601",
              breaking("attentionOutputAndFeedForward", new Residual()::call)),
          new Fault(
              "shares the state of a block between threads",
              "B602",
              breaking("attentionOutputAndFeedForward", new SharedScratch(1)::call)));

  private DecoderFaults() {}

  private static Supplier<BackendProvider> breaking(String method, Broken broken) {
    return Breaking.method(DecoderOps.class, method, broken);
  }

  private static Object nextToken(Call call) {
    int[] ids = call.backend().host().copyToHostInts(call.tensor(2));
    if (ids.length > 1) {
      ids[ids.length - 1] = (ids[ids.length - 1] + 1) % call.tensor(1).shape().intDim(0);
    }
    Tensor other = call.backend().openScope("ids").allocate(DType.I32, Shape.of(ids.length));
    call.backend().host().copyFromHost(other, ids);
    return call.with(2, other);
  }

  private static Object spilling(Call call) {
    call.honestly();
    OutOfBounds.writeBehind(call.tensor(0));
    return null;
  }

  private static Object withoutTail(Call call) {
    int inputDim = call.tensor(3).shape().intDim(-1);
    int whole = inputDim / 8 * 8;
    float[] numbers = call.numbers(3);
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = i % inputDim < whole ? numbers[i] : 0;
    }
    Tensor cut = call.changed(call.tensor(3), x -> x);
    call.write(cut, numbers);
    return call.with(3, cut);
  }

  private static Object poisoned(Call call) {
    call.honestly();
    for (float x : call.numbers(3)) {
      if (Float.isNaN(x)) {
        call.change(call.tensor(0), y -> Float.NaN);
      }
    }
    return null;
  }

  private static Object onePositionBack(Call call) {
    int[] positions = call.backend().host().copyToHostInts(call.tensor(1));
    for (int i = 0; i < positions.length; i++) {
      positions[i] = Math.max(0, positions[i] - 1);
    }
    Tensor other =
        call.backend().openScope("positions").allocate(DType.I32, Shape.of(positions.length));
    call.backend().host().copyFromHost(other, positions);
    return call.with(1, other);
  }

  private static Rope otherStyle(Rope rope) {
    return new Rope(
        rope.style() == Rope.Style.HALF_SPLIT ? Rope.Style.INTERLEAVED : Rope.Style.HALF_SPLIT,
        rope.cosines(),
        rope.sines());
  }

  /** Turns the dimensions behind the table's as well, by its first angle. */
  private static Object wholeHead(Call call) {
    call.honestly();
    Rope rope = call.get(2, Rope.class);
    Tensor heads = call.tensor(0);
    int headDim = heads.shape().intDim(2);
    float[] numbers = call.numbers(heads);
    for (int i = 0; i < numbers.length; i++) {
      if (i % headDim >= rope.rotaryDims()) {
        numbers[i] = -numbers[i];
      }
    }
    call.write(heads, numbers);
    return null;
  }

  private static Object overflowing(Call call) {
    float[] gate = call.numbers(1);
    float[] up = call.numbers(2);
    for (int i = 0; i < gate.length; i++) {
      float e = (float) Math.exp(gate[i]);
      gate[i] = gate[i] * e / (1 + e) * up[i];
    }
    call.write(call.tensor(0), gate);
    return null;
  }

  private static Object plainLikelihood(Call call) {
    Tensor logits = call.tensor(1);
    int vocab = logits.shape().intDim(1);
    float[] numbers = call.numbers(1);
    int[] targets = call.backend().host().copyToHostInts(call.tensor(2));
    float[] out = new float[targets.length];
    for (int row = 0; row < out.length; row++) {
      float sum = 0;
      for (int i = 0; i < vocab; i++) {
        sum += (float) Math.exp(numbers[row * vocab + i]);
      }
      out[row] = numbers[row * vocab + targets[row]] - (float) Math.log(sum);
    }
    call.write(call.tensor(0), out);
    return null;
  }

  private static Object withoutKeyNorm(Call call) {
    AttentionBlock b = call.get(3, AttentionBlock.class);
    return call.with(
        3,
        new AttentionBlock(
            b.norm(),
            b.query(),
            b.queryBias(),
            b.key(),
            b.keyBias(),
            b.value(),
            b.valueBias(),
            b.queryNorm(),
            null,
            b.output(),
            b.outputBias(),
            b.epsilon()));
  }

  private static Object anyBias(Call call) {
    Tensor bias = (Tensor) call.arguments()[2];
    boolean fits = bias == null || bias.shape().dim(0) == call.tensor(1).shape().dim(0);
    return fits ? call.honestly() : call.with(2, null);
  }

  private static Object unstretched(Call call) {
    Rope rope = call.get(2, Rope.class);
    float[] cosines = call.numbers(rope.cosines());
    float[] sines = call.numbers(rope.sines());
    for (int i = 0; i < cosines.length; i++) {
      float stretch = (float) Math.hypot(cosines[i], sines[i]);
      cosines[i] /= stretch;
      sines[i] /= stretch;
    }
    Tensor cos = call.changed(rope.cosines(), x -> x);
    Tensor sin = call.changed(rope.sines(), x -> x);
    call.write(cos, cosines);
    call.write(sin, sines);
    return call.with(2, new Rope(rope.style(), cos, sin));
  }

  /** Reads an argument from where another thread may have put its own meanwhile. */
  private static final class SharedScratch {
    private final int argument;
    private volatile float[] shared = new float[0];

    SharedScratch(int argument) {
      this.argument = argument;
    }

    Object call(Call call) {
      shared = call.numbers(argument);
      MemoryFaults.pause();
      float[] found = shared;
      Tensor input = call.changed(call.tensor(argument), x -> x);
      float[] own = call.numbers(argument);
      System.arraycopy(found, 0, own, 0, Math.min(own.length, found.length));
      call.write(input, own);
      return call.with(argument, input);
    }
  }

  /** Adds a little of the last input of another shape. */
  private static final class Carrying {
    private float left;

    Object call(Call call) {
      call.honestly();
      float carried = left;
      call.change(call.tensor(0), x -> x + 1e-5f * carried);
      left = call.numbers(3).length == 0 ? 0 : call.numbers(3)[0];
      return null;
    }
  }

  /** Adds what it left behind to the state of the next request. */
  private static final class Residual {
    private float left;

    Object call(Call call) {
      call.honestly();
      float carried = left;
      left = call.numbers(0)[0];
      call.change(call.tensor(0), x -> x + 1e-3f * carried);
      return null;
    }
  }
}
