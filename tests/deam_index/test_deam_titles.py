"""Artists and titles, from three files of three layouts."""

from __future__ import annotations

from emomusic_edge.deam_index.csv_rows import SourceFile
from emomusic_edge.deam_index.deam_titles import plain, read_titles, shown_title


def table(name: str, content: str | bytes) -> SourceFile:
    return SourceFile(name, name, content if isinstance(content, bytes) else content.encode())


def test_the_three_layouts_are_read() -> None:
    titles, notes = read_titles(
        [
            table(
                "metadata_2013.csv",
                "song_id,file_name,Artist,Song title,start of the segment (min.sec),end,Genre\n"
                '2,2.mp3,"\tThe\u00a0Kissing \t","\t""Tonight"" A Lonely Century\t",1.01,1.46,\tBlues\t\n',
            ),
            table(
                "metadata_2014.csv",
                "Id,Artist,Album,Track,Genre,segment start,segment end,last.fm labels,,\n"
                "1001,\tAn Artist\t,\tAn Album\t,\tA Track\t,Pop,0.10,0.55,a,b,c,d,e,f\n"
                "1002,,,Only A Title\n"
                "x,junk\n",
            ),
            table(
                "metadata_2015.csv",
                "id,Filename,title,artist,album,genre\n2001,a.mp3,T,A,n/a,Rock,Pop\n2003,a.mp3,n/a,A\n",
            ),
        ]
    )
    assert notes == ()
    assert titles == {
        2: 'The Kissing – Tonight" A Lonely Century',
        1001: "An Artist – A Track",
        1002: "Only A Title",
        2001: "A – T",
        2003: "A",
    }


def test_a_file_of_other_columns_is_passed_over_and_told() -> None:
    titles, notes = read_titles([table("metadata.csv", "a,b\n1,2\n"), table("metadata_2.csv", b"\x00\n\x00")])
    assert titles == {}
    assert [note.split(" gave")[0] for note in notes] == ["metadata.csv", "metadata_2.csv"]


def test_latin_1_is_read() -> None:
    titles, _ = read_titles(
        [table("metadata_2013.csv", "song_id,Artist,Song title\n5,Beyonc\xe9,Ole\n".encode("latin-1"))]
    )
    assert titles == {5: "Beyoncé – Ole"}


def test_names_are_plain() -> None:
    assert plain(' \t"A\x1b[31m  b\u0085c"\n') == "A [31m b c"
    assert plain("N/A") == ""
    assert shown_title("", "b") == "b"
    assert shown_title("a", "") == "a"
