const probe = 2;
