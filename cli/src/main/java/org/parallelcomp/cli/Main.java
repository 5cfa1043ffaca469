package org.parallelcomp.cli;
/** Entry point. */
public final class Main { private Main() {}
  /** Starts. */
  public static void main(String[] args) {} }
