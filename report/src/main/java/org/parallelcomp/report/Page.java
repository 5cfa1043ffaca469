package org.parallelcomp.report;

import java.util.List;

/**
 * What the template inserts, section by section. Every number is a string already; lists are empty
 * where a section has nothing to show.
 */
record Page(
    String css,
    String question,
    String answer,
    String outcome,
    List<String> warnings,
    List<Fact> headline,
    Strip strip,
    List<Chart> scores,
    String legend,
    List<Passage> passages,
    String after,
    List<HeatMap> heatMaps,
    List<Attention> attention,
    List<Bars> costs,
    List<Table> tables) {

  /** A name and what it is. */
  record Fact(String name, String value) {}

  /** The whole text from left to right, and how much of each part was kept. */
  record Strip(String summary, int cells, List<Cell> kept, String end) {}

  /** A part of the text of which something was kept. */
  record Cell(int x, String strength, String title, String passage) {}

  /** The chunks' scores as bars. */
  record Chart(
      String name,
      String rule,
      String summary,
      int count,
      String top,
      List<Bar> bars,
      String rows) {}

  /** The score of one chunk. */
  record Bar(
      int chunk,
      String y,
      String height,
      String title,
      boolean kept,
      String characters,
      String tokens,
      String value) {}

  /** A kept chunk. */
  record Passage(
      String before, int chunk, String title, String details, List<Shading.Run> runs, String cut) {}

  /** The share of tokens that each kv head of each layer kept. */
  record HeatMap(String of, List<Integer> heads, List<Row> rows) {}

  /** A layer of the heat map. */
  record Row(int layer, List<Share> shares, String bytes) {}

  /** A share and how strongly it is shaded, from 0 to 1. */
  record Share(String strength, String percent, String title) {}

  /** Where attention went. */
  record Attention(List<String> notes, List<Card> cards) {}

  /** A layer. */
  record Card(int layer, List<Profile> profiles) {}

  /** A stage of a layer. */
  record Profile(
      String stage,
      String bias,
      String meaning,
      List<Segment> segments,
      String shares,
      String curve,
      int curveWidth,
      String densities) {}

  /** A part of a bar of which all parts make the whole. */
  record Segment(String kind, String width, String title) {}

  /** Some quantities beside each other. */
  record Bars(String title, List<Quantity> quantities) {}

  /** A quantity as a bar. */
  record Quantity(String name, String value, String width) {}

  /** Names and values. */
  record Table(String title, List<Fact> rows) {}
}
