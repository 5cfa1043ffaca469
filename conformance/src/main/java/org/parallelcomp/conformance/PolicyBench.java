package org.parallelcomp.conformance;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.SeededLayer.Numbers;
import org.parallelcomp.conformance.SeededLayer.Sizes;
import org.parallelcomp.conformance.reference.ReferenceBackend;

/** The oracle, on which a policy decides about layers from a seed. */
final class PolicyBench implements AutoCloseable {
  /** One token of each, fewer behind the context than a window, groups of 1, 2, 4, 7. */
  static final List<Sizes> SIZES =
      List.of(
          new Sizes(0, 1, 1, 1, 4, 0, 1, 1),
          new Sizes(1, 2, 4, 1, 8, 3, 7, 2),
          new Sizes(5, 8, 14, 2, 4, 5, 13, 8),
          new Sizes(0, 4, 2, 2, 4, 16, 64, 9),
          new Sizes(2, 32, 6, 3, 4, 120, 133, 12));

  private final Backend backend = new ReferenceBackend();
  private final MemoryScope scope = backend.openScope("bench");

  TensorOps ops() {
    return backend.tensorOps(scope);
  }

  Tensor floats(float[] numbers, long... dims) {
    Tensor tensor = scope.allocate(DType.F32, Shape.of(dims));
    backend.host().copyFromHost(tensor, numbers);
    return tensor;
  }

  private Tensor ints(int[] numbers) {
    Tensor tensor = scope.allocate(DType.I32, Shape.of(numbers.length));
    backend.host().copyFromHost(tensor, numbers);
    return tensor;
  }

  float[] numbers(Tensor tensor) {
    return backend.host().copyToHostFloats(tensor);
  }

  SeededLayer layer(
      Sizes sizes, Numbers numbers, long seed, Set<Evidence> declared, int windowTokens) {
    int kept = sizes.contextTokens() / 2;
    return new SeededLayer(this, sizes, numbers, seed, declared, windowTokens, kept);
  }

  /** Returns the kept positions of each head, in the order in which the selection gives them. */
  int[][] kept(TokenSelection selection) {
    int[][] kept = new int[selection.kvHeads()][];
    if (selection.indices().isEmpty()) {
      Arrays.setAll(kept, h -> IntStream.range(0, selection.tokens()).toArray());
      return kept;
    }
    int[] all = backend.host().copyToHostInts(selection.indices().get());
    int from = 0;
    for (int h = 0; h < kept.length; h++) {
      kept[h] = Arrays.copyOfRange(all, from, from + selection.keptTokens(h));
      from += selection.keptTokens(h);
    }
    return kept;
  }

  /** Returns the selection that keeps these positions. */
  TokenSelection selection(int tokens, int[][] kept) {
    return TokenSelection.of(
        tokens,
        Arrays.stream(kept).mapToInt(head -> head.length).toArray(),
        ints(Arrays.stream(kept).flatMapToInt(Arrays::stream).toArray()));
  }

  /** Returns positions as lists, to compare and to print. */
  static List<List<Integer>> lists(int[][] kept) {
    var lists = new ArrayList<List<Integer>>();
    for (int[] head : kept) {
      lists.add(Arrays.stream(head).boxed().toList());
    }
    return lists;
  }

  @Override
  public void close() {
    backend.close();
  }
}
