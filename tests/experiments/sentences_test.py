from jcompress.experiments.sentences import CALIBRATION, SENTENCES


def test_sentences_differ_and_none_is_in_both_lists():
  assert len(SENTENCES) == len(CALIBRATION) == 64
  assert len({*SENTENCES, *CALIBRATION}) == 128
