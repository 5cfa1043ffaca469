package org.parallelcomp.engine.generate;

import java.util.Arrays;
import java.util.List;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.LayerCaches;
import org.parallelcomp.engine.model.SequenceInput;

/**
 * Runs a long sequence through the decoder block by block, so that the activations' memory does not
 * grow with its length.
 */
final class BlockPrefill {
  /** Hears how far a sequence has come. */
  interface Listener {
    /** A listener that does nothing. */
    Listener NONE =
        new Listener() {
          @Override
          public void beforeLastBlock() {}

          @Override
          public void afterBlock(int tokensDone) {}
        };

    /** The next block is the last. */
    void beforeLastBlock();

    /** So many tokens of the sequence are done. */
    void afterBlock(int tokensDone);
  }

  private BlockPrefill() {}

  /**
   * Returns the hidden states of the last {@code outputRows} tokens, {@code [outputRows,
   * hiddenDim]}.
   *
   * @param outputRows all of them lie in the last block
   */
  static Tensor forward(
      Decoder decoder,
      int[] tokenIds,
      int firstPosition,
      int outputRows,
      LayerCaches caches,
      Cancellation cancellation,
      Listener listener) {
    int from = 0;
    while (true) {
      RequestCancelled.check(cancellation);
      int to = blockEnd(from, tokenIds.length, outputRows, decoder.blockTokens());
      boolean last = to == tokenIds.length;
      if (last) {
        listener.beforeLastBlock();
      }
      var block =
          new SequenceInput(
              Arrays.copyOfRange(tokenIds, from, to),
              firstPosition + from,
              last ? outputRows : 0,
              caches);
      Tensor hidden = decoder.forward(List.of(block)).getFirst();
      listener.afterBlock(to);
      if (last) {
        return hidden;
      }
      from = to;
    }
  }

  /**
   * The end of the block that begins at {@code from}; a block never cuts through the output rows.
   */
  static int blockEnd(int from, int tokens, int outputRows, int blockTokens) {
    if (tokens - from <= blockTokens) {
      return tokens;
    }
    int firstOutput = tokens - outputRows;
    if (from + blockTokens <= firstOutput) {
      return from + blockTokens;
    }
    return from < firstOutput ? firstOutput : tokens;
  }
}
