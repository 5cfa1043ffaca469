package org.parallelcomp.eval.cases;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;

/** Words to make keys of. */
final class Words {
  private static final List<String> ADJECTIVES =
      List.of(
          "amber",
          "ancient",
          "bitter",
          "bold",
          "brave",
          "brief",
          "bright",
          "calm",
          "careful",
          "cheerful",
          "clever",
          "cold",
          "common",
          "curious",
          "deep",
          "distant",
          "early",
          "eager",
          "faint",
          "famous",
          "fierce",
          "fresh",
          "gentle",
          "golden",
          "grand",
          "hollow",
          "honest",
          "humble",
          "icy",
          "jolly",
          "keen",
          "large",
          "late",
          "lively",
          "lonely",
          "loud",
          "loyal",
          "mellow",
          "narrow",
          "noble",
          "odd",
          "pale",
          "patient",
          "plain",
          "polite",
          "proud",
          "quick",
          "quiet",
          "rare",
          "rough",
          "scarlet",
          "sharp",
          "silent",
          "silver",
          "simple",
          "slow",
          "smooth",
          "solid",
          "steady",
          "strange",
          "sturdy",
          "swift",
          "tender",
          "tidy",
          "vast",
          "warm",
          "wild",
          "wise",
          "young",
          "zealous");
  private static final List<String> NOUNS =
      List.of(
          "anchor",
          "apple",
          "arrow",
          "autumn",
          "badge",
          "basket",
          "beacon",
          "bell",
          "bench",
          "bridge",
          "brook",
          "bucket",
          "button",
          "candle",
          "canyon",
          "castle",
          "cedar",
          "chair",
          "chimney",
          "cloud",
          "clover",
          "copper",
          "coral",
          "cradle",
          "desert",
          "dome",
          "dragon",
          "eagle",
          "ember",
          "engine",
          "falcon",
          "feather",
          "ferry",
          "forest",
          "fountain",
          "garden",
          "glacier",
          "hammer",
          "harbor",
          "hazel",
          "helmet",
          "hill",
          "island",
          "ivory",
          "jacket",
          "jungle",
          "kettle",
          "kite",
          "ladder",
          "lantern",
          "lemon",
          "lion",
          "lotus",
          "magnet",
          "maple",
          "marble",
          "meadow",
          "mirror",
          "mountain",
          "needle",
          "ocean",
          "orchard",
          "otter",
          "oven",
          "paddle",
          "palace",
          "pebble",
          "pepper",
          "piano",
          "pillow",
          "planet",
          "pocket",
          "quarry",
          "quilt",
          "rabbit",
          "raven",
          "ribbon",
          "river",
          "rocket",
          "saddle",
          "sailor",
          "shadow",
          "shelf",
          "shepherd",
          "signal",
          "spider",
          "spring",
          "stable",
          "stone",
          "summit",
          "table",
          "temple",
          "thunder",
          "tiger",
          "tower",
          "trumpet",
          "tunnel",
          "valley",
          "velvet",
          "village",
          "violet",
          "wagon",
          "walnut",
          "window",
          "winter",
          "wizard",
          "yarn",
          "zebra");
  private static final String CONSONANTS = "bdfgklmnprstvz";
  private static final String VOWELS = "aeiou";

  private Words() {}

  /** Returns a word of two parts, as in "brave-lantern". */
  static String compound(Random random) {
    return ADJECTIVES.get(random.nextInt(ADJECTIVES.size()))
        + "-"
        + NOUNS.get(random.nextInt(NOUNS.size()));
  }

  /** Returns words that sound like words, all different. */
  static List<String> spoken(Random random, int count) {
    Set<String> words = new LinkedHashSet<>();
    while (words.size() < count) {
      StringBuilder word = new StringBuilder();
      for (int syllable = 0; syllable < 3; syllable++) {
        word.append(CONSONANTS.charAt(random.nextInt(CONSONANTS.length())));
        word.append(VOWELS.charAt(random.nextInt(VOWELS.length())));
      }
      words.add(word.toString());
    }
    return List.copyOf(words);
  }

  /** Returns so many different words of letters without a sense. */
  static List<String> coded(Random random, int count, int letters) {
    Set<String> words = new LinkedHashSet<>();
    while (words.size() < count) {
      StringBuilder word = new StringBuilder();
      for (int i = 0; i < letters; i++) {
        word.append((char) ('a' + random.nextInt(26)));
      }
      words.add(word.toString());
    }
    return List.copyOf(words);
  }
}
