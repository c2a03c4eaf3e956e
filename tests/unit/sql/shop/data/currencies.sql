SELECT * FROM (VALUES ('EUR', 'Euro'), ('JPY', 'Yen')) AS currency (code, name);
