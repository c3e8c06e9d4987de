"""Folders that nobody else can write to."""

import os
import stat

import pytest

from stress.system.private_folder import NotPrivate, make_private

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give something away")


def test_missing_folders_are_made_for_the_caller_alone(tmp_path):
    made = make_private(tmp_path / "a" / "b")
    assert made == tmp_path / "a" / "b"
    for folder in (made, made.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert make_private(made) == made


def test_a_link_is_followed_before_anything_is_looked_at(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    assert make_private(tmp_path / "link" / "a") == tmp_path / "real" / "a"


@pytest.mark.parametrize("mode", [0o777, 0o707, 0o702])
def test_a_way_that_others_can_change_is_refused(tmp_path, mode):
    folder = make_private(tmp_path / "a" / "b")
    for each in (folder, folder.parent):
        each.chmod(mode)
        with pytest.raises(NotPrivate, match=f"others may write to {each}"):
            make_private(folder)
        each.chmod(0o755)
    assert make_private(folder) == folder


def test_a_sticky_parent_is_no_harm_and_a_sticky_folder_is(tmp_path):
    folder = make_private(tmp_path / "a" / "b")
    folder.parent.chmod(0o1777)
    assert make_private(folder) == folder
    folder.chmod(0o1777)
    with pytest.raises(NotPrivate):
        make_private(folder)


@as_root
def test_a_group_with_others_in_it_is_somebody_else(tmp_path):
    folder = make_private(tmp_path / "a" / "b")
    folder.parent.chmod(0o775)
    assert make_private(folder) == folder  # root's own group
    os.chown(folder.parent, 0, 12345)
    with pytest.raises(NotPrivate):
        make_private(folder)


@as_root
@pytest.mark.parametrize("which", ["folder", "parent"])
def test_what_belongs_to_somebody_else_is_refused(tmp_path, which):
    folder = make_private(tmp_path / "a" / "b")
    os.chown(folder if which == "folder" else folder.parent, 12345, 12345)
    with pytest.raises(NotPrivate, match="belongs to uid 12345"):
        make_private(folder)


@pytest.mark.parametrize("inside", ["", "a", "a/b"])
def test_a_file_is_no_folder(tmp_path, inside):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_private(tmp_path / "file" / inside)
