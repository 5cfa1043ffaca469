package org.parallelcomp.engine;

/** Hears a request while it runs. Called on the thread that made the request. */
@FunctionalInterface
public interface TokenSink {
  /** A sink that hears nothing. */
  TokenSink NONE = text -> {};

  /** Takes the next piece of the answer: whole characters, never an empty string. */
  void onText(String text);

  /** Optional. Takes the progress, at least once per chunk; the default ignores it. */
  default void onProgress(Progress progress) {}

  /** Optional. Takes a warning in one sentence; the default ignores it. */
  default void onWarning(String sentence) {}
}
