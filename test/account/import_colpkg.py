"""What File > Import does with a .colpkg (qt/aqt/import_export/importing.py): import_colpkg.py FILE FOLDER"""
import os
import sys

from anki._backend import RustBackend

path, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
RustBackend().import_collection_package(
    col_path=os.path.join(folder, "collection.anki2"),
    backup_path=path,
    media_folder=os.path.join(folder, "collection.media"),
    media_db=os.path.join(folder, "collection.media.db2"),
)
