package org.parallelcomp.engine.generate;

import java.util.List;
import org.parallelcomp.engine.LogitsSink;

/** Tokens that are given, whatever the logits say; a listener hears what they say. */
final class GivenTokens implements NextToken {
  private final List<Integer> tokens;
  private final LogitsSink sink;
  private int index;

  GivenTokens(List<Integer> tokens, LogitsSink sink) {
    this.tokens = List.copyOf(tokens);
    this.sink = sink;
  }

  @Override
  public int next(float[] logits) {
    int token = tokens.get(index);
    sink.onLogits(index, token, logits);
    index++;
    return token;
  }
}
