package org.parallelcomp.cli;

import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.Progress;
import org.parallelcomp.engine.TokenSink;

/** Streams the answer to standard output, progress and warnings to standard error. */
final class AnswerSink implements TokenSink {
  private final Streams streams;
  private final AnswerOptions options;
  private final ProgressLine progress;
  private final Cancellation cancellation;

  AnswerSink(
      Streams streams, AnswerOptions options, ProgressLine progress, Cancellation cancellation) {
    this.streams = streams;
    this.options = options;
    this.progress = progress;
    this.cancellation = cancellation;
  }

  @Override
  public void onText(String text) {
    if (options.json()) {
      return;
    }
    progress.clear();
    streams.out().print(text);
    // Also flushes. A reader that went away wants no more of the answer.
    if (streams.out().checkError()) {
      cancellation.cancel();
    }
  }

  @Override
  public void onProgress(Progress step) {
    // While it is decoded, the answer itself is the progress.
    if (step.phase() != Progress.Phase.DECODE || options.json()) {
      progress.show(step);
    }
  }

  @Override
  public void onWarning(String sentence) {
    progress.clear();
    streams.err().println("parallelcomp: warning: " + sentence);
  }
}
