package org.parallelcomp.conformance.asserting;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.Tensor;

/** Exchanges the arguments of one call for those of the real backend. */
final class Exchange implements AutoCloseable {
  private record Layers(KvLayer outer, KvLayer inner) {}

  private final AssertingBackend owner;
  private final Backend real;
  private final List<Layers> layers = new ArrayList<>();
  private @Nullable MemoryScope scratch;

  Exchange(AssertingBackend owner, Backend real) {
    this.owner = owner;
    this.real = real;
  }

  /** Returns an argument as the real backend knows it. */
  @Nullable Object inwards(@Nullable Object argument) {
    return switch (argument) {
      case Tensor tensor -> tensor(tensor);
      case KvLayer layer -> layer(layer);
      case TokenSelection selection -> selection(selection);
      case MemoryScope scope -> {
        Contract.require(
            scope instanceof AssertingScope own && own.backend() == owner && !own.isClosed(),
            () -> "the scope " + scope + " is closed or another backend's");
        yield ((AssertingScope) scope).real();
      }
      case AttendSequence s ->
          new AttendSequence(
              s.firstRow(), s.rows(), layer(s.layer()), s.fromToken(), s.toToken(), s.causal());
      case Rope rope -> new Rope(rope.style(), tensor(rope.cosines()), tensor(rope.sines()));
      case AttentionBlock block -> block(block);
      case FeedForwardBlock block ->
          new FeedForwardBlock(
              tensor(block.norm()),
              tensor(block.gate()),
              tensor(block.up()),
              tensor(block.down()),
              block.epsilon());
      case Scratch any -> {
        // Its buffers are the caller's tensors; the backend takes its own for this call.
        scratch = real.openScope("asserting");
        yield new Scratch(scratch);
      }
      case List<?> list -> list.stream().map(this::inwards).toList();
      case null, default -> argument;
    };
  }

  private Tensor tensor(Tensor tensor) {
    Contract.require(
        tensor instanceof AssertingTensor own && own.scope().backend() == owner,
        () -> tensor + " is another backend's");
    var own = (AssertingTensor) tensor;
    Contract.require(
        !own.scope().isClosed(), () -> own + " is used, its scope " + own.scope() + " is closed");
    return own.real();
  }

  private @Nullable Tensor optional(@Nullable Tensor tensor) {
    return tensor == null ? null : tensor(tensor);
  }

  private AttentionBlock block(AttentionBlock block) {
    return new AttentionBlock(
        tensor(block.norm()),
        tensor(block.query()),
        optional(block.queryBias()),
        tensor(block.key()),
        optional(block.keyBias()),
        tensor(block.value()),
        optional(block.valueBias()),
        optional(block.queryNorm()),
        optional(block.keyNorm()),
        tensor(block.output()),
        optional(block.outputBias()),
        block.epsilon());
  }

  private KvLayer layer(KvLayer outer) {
    for (Layers known : layers) {
      if (known.outer == outer) {
        return known.inner;
      }
    }
    int[] capacities = new int[outer.kvHeads()];
    Arrays.setAll(capacities, outer::capacity);
    var inner =
        new KvLayer(
            tensor(outer.keys()), tensor(outer.values()), tensor(outer.positions()), capacities);
    copyTokens(outer, inner);
    layers.add(new Layers(outer, inner));
    return inner;
  }

  private TokenSelection selection(TokenSelection selection) {
    return selection
        .indices()
        .map(
            indices ->
                TokenSelection.of(selection.tokens(), selection.keptTokens(), tensor(indices)))
        .orElse(selection);
  }

  /** Carries what the call did to the numbers of tokens over to the caller's layers. */
  void updateLayers() {
    layers.forEach(pair -> copyTokens(pair.inner, pair.outer));
  }

  private static void copyTokens(KvLayer from, KvLayer to) {
    for (int h = 0; h < from.kvHeads(); h++) {
      to.setTokens(h, from.tokens(h));
    }
  }

  @Override
  public void close() {
    if (scratch != null) {
      scratch.close();
    }
  }
}
