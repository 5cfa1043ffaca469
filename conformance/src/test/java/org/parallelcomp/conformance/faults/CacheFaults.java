package org.parallelcomp.conformance.faults;

import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.faults.Breaking.Broken;
import org.parallelcomp.conformance.faults.Breaking.Call;

/** Faults of the key-value cache. */
final class CacheFaults {
  static final List<Fault> FAULTS =
      List.of(
          new Fault(
              "gives every head the room of the largest",
              "B501",
              breaking(
                  "allocate",
                  call -> {
                    int[] capacities = call.get(2, int[].class).clone();
                    Arrays.fill(capacities, Arrays.stream(capacities).max().orElse(0));
                    return call.with(2, capacities);
                  })),
          new Fault(
              "cuts numbers to half precision instead of rounding",
              "B502",
              breaking("append", CacheFaults::cutToHalf)),
          new Fault(
              "appends behind the longest head",
              "B503",
              breaking("append", CacheFaults::behindTheLongest)),
          new Fault(
              "loses the old positions in compaction",
              "B504",
              breaking(
                  "compact",
                  call -> {
                    KvLayer kept = (KvLayer) call.honestly();
                    int slots = kept.positions().shape().intDim(0);
                    call.backend()
                        .host()
                        .copyFromHost(kept.positions(), IntStream.range(0, slots).toArray());
                    return kept;
                  })),
          new Fault(
              "counts a selection from the first token always",
              "B504",
              breaking("compact", call -> call.with(2, 0))),
          new Fault(
              "keeps the room of what is not kept",
              "B504",
              breaking("compact", CacheFaults::roomy)),
          new Fault(
              "rounds in compaction",
              "B505",
              breaking(
                  "compact",
                  call -> {
                    KvLayer kept = (KvLayer) call.honestly();
                    if (kept.keys().dtype() == DType.F32) {
                      call.change(kept.keys(), x -> x * (1 + 1e-6f));
                    }
                    return kept;
                  })),
          new Fault(
              "shares the storage of the source when everything is kept",
              "B506",
              breaking(
                  "compact",
                  call ->
                      call.get(3, TokenSelection.class).indices().isEmpty() && call.integer(2) == 0
                          ? call.arguments()[1]
                          : call.honestly())),
          new Fault(
              "concatenates as many tokens of each head as of the last",
              "B507",
              breaking("concatenate", CacheFaults::likeTheLast)),
          new Fault(
              "does not say where rotated keys are",
              "B508",
              breaking(
                  "rerotate",
                  call -> {
                    Tensor positions = call.get(0, KvLayer.class).positions();
                    int[] before = call.backend().host().copyToHostInts(positions);
                    call.honestly();
                    call.backend().host().copyFromHost(positions, before);
                    return null;
                  })),
          new Fault(
              "rotates keys to a place without turning them back first",
              "B508",
              breaking("rerotate", CacheFaults::withoutTurningBack)),
          new Fault(
              "appends what fits and drops the rest",
              "B509",
              breaking("append", CacheFaults::whatFits)),
          new Fault(
              "clears the slots behind new tokens",
              "B510",
              breaking("append", CacheFaults::clearing)),
          new Fault(
              "stretches keys once more when it moves them",
              "B511",
              breaking("rerotate", CacheFaults::stretchedTwice)),
          new Fault(
              "concatenates heads of different size",
              "B513",
              breaking("concatenate", CacheFaults::lenient)),
          new Fault(
              "keeps compacted layers for ever",
              "B515",
              breaking(
                  "compact",
                  call -> {
                    MemoryScope own = call.backend().openScope("kept");
                    return call.with(0, own);
                  })),
          new Fault(
              "rotates beyond the table to its last place",
              "B516",
              breaking("rerotate", CacheFaults::lenient)),
          new Fault(
              "keeps a token where nothing was selected",
              "B517",
              breaking("compact", CacheFaults::atLeastOne)));

  private CacheFaults() {}

  private static Supplier<BackendProvider> breaking(String method, Broken broken) {
    return Breaking.method(CacheOps.class, method, broken);
  }

  private static Object cutToHalf(Call call) {
    KvLayer layer = call.get(0, KvLayer.class);
    if (layer.keys().dtype() != DType.BF16) {
      return call.honestly();
    }
    return call.with(
        1,
        call.changed(
            call.tensor(1), x -> Float.intBitsToFloat(Float.floatToRawIntBits(x) & 0xFFFF_0000)));
  }

  private static Object behindTheLongest(Call call) {
    KvLayer layer = call.get(0, KvLayer.class);
    int longest = layer.maxTokens();
    for (int h = 0; h < layer.kvHeads(); h++) {
      layer.setTokens(h, Math.min(longest, layer.capacity(h)));
    }
    return call.honestly();
  }

  private static Object roomy(Call call) {
    MemoryScope scope = call.get(0, MemoryScope.class);
    KvLayer kept = (KvLayer) call.honestly();
    int[] capacities = kept.tokens();
    for (int h = 0; h < capacities.length; h++) {
      capacities[h] = Math.max(capacities[h], call.get(3, TokenSelection.class).tokens());
    }
    KvLayer roomy =
        call.backend().cache().allocate(scope, kept.keys().dtype(), capacities, kept.headDim());
    call.backend().cache().concatenate(roomy, kept);
    return roomy;
  }

  private static Object likeTheLast(Call call) {
    KvLayer source = call.get(1, KvLayer.class);
    int[] tokens = source.tokens();
    for (int h = 0; h < tokens.length; h++) {
      source.setTokens(h, Math.min(tokens[tokens.length - 1], tokens[h]));
    }
    call.honestly();
    for (int h = 0; h < tokens.length; h++) {
      source.setTokens(h, tokens[h]);
    }
    return null;
  }

  /** Pretends that every key stood at position 0. */
  private static Object withoutTurningBack(Call call) {
    Tensor positions = call.get(0, KvLayer.class).positions();
    call.backend().host().copyFromHost(positions, new int[positions.shape().intDim(0)]);
    return call.honestly();
  }

  private static Object whatFits(Call call) {
    KvLayer layer = call.get(0, KvLayer.class);
    long room = call.tensor(1).shape().dim(0);
    for (int h = 0; h < layer.kvHeads(); h++) {
      room = Math.min(room, layer.capacity(h) - layer.tokens(h));
    }
    return call.honestly(
        layer,
        call.tensor(1).slice(0, 0, room),
        call.tensor(2).slice(0, 0, room),
        call.tensor(3).slice(0, 0, room));
  }

  private static Object clearing(Call call) {
    call.honestly();
    KvLayer layer = call.get(0, KvLayer.class);
    for (int h = 0; h < layer.kvHeads() && layer.keys().dtype() == DType.F32; h++) {
      int from = layer.firstSlot(h) + layer.tokens(h);
      int to = layer.firstSlot(h + 1);
      call.write(layer.keys().slice(0, from, to), new float[(to - from) * layer.headDim()]);
    }
    return null;
  }

  private static Object stretchedTwice(Call call) {
    call.honestly();
    Rope rope = call.get(2, Rope.class);
    float stretch =
        (float) Math.hypot(call.numbers(rope.cosines())[0], call.numbers(rope.sines())[0]);
    if (stretch > 1.01f) {
      call.change(call.get(0, KvLayer.class).keys(), x -> x * stretch);
    }
    return null;
  }

  private static Object lenient(Call call) {
    try {
      return call.honestly();
    } catch (InferenceException e) {
      return null;
    }
  }

  private static Object atLeastOne(Call call) {
    TokenSelection selection = call.get(3, TokenSelection.class);
    if (selection.tokens() == 0 || Arrays.stream(selection.keptTokens()).sum() > 0) {
      return call.honestly();
    }
    int heads = selection.kvHeads();
    Tensor first = call.backend().openScope("first").allocate(DType.I32, Shape.of(heads, 1));
    return call.with(3, TokenSelection.uniform(selection.tokens(), first));
  }
}
