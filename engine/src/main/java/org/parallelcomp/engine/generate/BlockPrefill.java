package org.parallelcomp.engine.generate;

import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.model.Decoder;
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
   * Returns the hidden states of the sequence's output rows, {@code [outputRows, hiddenDim]}.
   *
   * @param sequence a whole one; its output rows all lie in the last block
   */
  static Tensor forward(
      Decoder decoder, SequenceInput sequence, Cancellation cancellation, Listener listener) {
    SequenceInput last = upToLastBlock(decoder, sequence, cancellation, listener::afterBlock);
    listener.beforeLastBlock();
    Tensor hidden = decoder.forward(List.of(last)).getFirst();
    listener.afterBlock(sequence.tokenIds().length);
    return hidden;
  }

  /**
   * Runs all blocks of a sequence but the last, which it returns.
   *
   * @param afterBlock hears how many of the sequence's tokens are done
   */
  static SequenceInput upToLastBlock(
      Decoder decoder, SequenceInput sequence, Cancellation cancellation, IntConsumer afterBlock) {
    int[] ids = sequence.tokenIds();
    int from = 0;
    while (true) {
      RequestCancelled.check(cancellation);
      int to = blockEnd(from, ids.length, sequence.outputRows(), decoder.blockTokens());
      boolean last = to == ids.length;
      var block =
          new SequenceInput(
              Arrays.copyOfRange(ids, from, to),
              sequence.firstPosition() + from,
              last ? sequence.outputRows() : 0,
              sequence.caches());
      if (last) {
        return block;
      }
      decoder.forward(List.of(block));
      afterBlock.accept(to);
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
